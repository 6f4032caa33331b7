/* What C takes for the same: the lower bound beside which the others stand.
 *
 *   process write BYTES            write so many bytes to stdout, as fast as it goes
 *   process lines COUNT            write so many lines of 25 bytes
 *   process spawn COUNT AT_ONCE    start /bin/true COUNT times by vfork, AT_ONCE at the same time; seconds
 *   process capture BYTES COUNT    start "process write BYTES" and read it all, COUNT times; seconds of the median
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void put(const char *block, size_t size)
{
    while (size > 0) {
        ssize_t done = write(1, block, size);
        if (done < 0)
            exit(1);
        block += done;
        size -= done;
    }
}

static int spawn(int count, int at_once)
{
    char *argv[] = {"/bin/true", NULL};
    volatile int running = 0, started = 0;
    int status;
    double began = now();
    while (started < count || running) {
        while (started < count && running < at_once) {
            pid_t pid = vfork();
            if (pid == 0) {
                execve(argv[0], argv, environ);
                _exit(127);
            }
            started++;
            running++;
        }
        wait(&status);
        running--;
    }
    printf("%f\n", now() - began);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int capture(char *self, char *size, int count)
{
    char *argv[] = {self, "write", size, NULL};
    size_t bytes = atol(size);
    double *took = calloc(count, sizeof *took);
    for (int i = 0; i < count; i++) {
        char *all = malloc(bytes + 1);
        volatile size_t held = 0;
        int ends[2], status;
        double began = now();
        if (!all || pipe2(ends, O_CLOEXEC))
            return 1;
        pid_t pid = vfork();
        if (pid == 0) {
            dup2(ends[1], 1);
            execve(self, argv, environ);
            _exit(127);
        }
        close(ends[1]);
        fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
        for (ssize_t n; (n = read(ends[0], all + held, bytes + 1 - held)) > 0;)
            held += n;
        close(ends[0]);
        waitpid(pid, &status, 0);
        took[i] = now() - began;
        free(all);
        if (held != bytes || status)
            return 1;
    }
    qsort(took, count, sizeof *took, by_size);
    printf("%f\n", took[count / 2]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "write")) {
        static char block[1 << 18];
        memset(block, 'x', sizeof block);
        for (size_t left = atol(argv[2]); left > 0; left -= left < sizeof block ? left : sizeof block)
            put(block, left < sizeof block ? left : sizeof block);
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "lines")) {
        char block[25 * 2000];
        for (int i = 0; i < 2000; i++)
            memcpy(block + 25 * i, "hello world this is line\n", 25);
        for (long left = atol(argv[2]); left > 0; left -= 2000)
            put(block, 25 * (left < 2000 ? left : 2000));
        return 0;
    }
    if (argc == 4 && !strcmp(argv[1], "spawn"))
        return spawn(atoi(argv[2]), atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "capture"))
        return capture(argv[0], argv[2], atoi(argv[3]));
    fprintf(stderr, "usage: process write BYTES | lines COUNT | spawn COUNT AT_ONCE | capture BYTES COUNT\n");
    return 2;
}
