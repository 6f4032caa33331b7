/* What C takes for the same: the lower bound beside which the others stand.
 *
 *   process write BYTES        write so many bytes to stdout, as fast as it goes
 *   process lines COUNT        write so many lines of 25 bytes
 *   process [sessions]         do what is asked for, a line at a time on stdin, and answer each with its seconds:
 *
 *                              (sessions: each child in a session of its own, which costs the kernel something)
 *
 *   spawn COUNT AT_ONCE        start /bin/true by vfork and wait for it, AT_ONCE at the same time; nothing else at all
 *   run COUNT AT_ONCE          the same with a pipe each for its stdout and stderr, read to their ends
 *   capture PROGRAM BYTES COUNT    "PROGRAM write BYTES", read into memory; of COUNT times the median
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int sessions = 0;

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

static double spawn(int count, int at_once)
{
    char *argv[] = {"/bin/true", NULL};
    volatile int running = 0, started = 0;
    int status;
    double began = now();
    while (started < count || running) {
        while (started < count && running < at_once) {
            pid_t pid = vfork();
            if (pid == 0) {
                if (sessions)
                    setsid();
                execve(argv[0], argv, environ);
                _exit(127);
            }
            started++;
            running++;
        }
        wait(&status);
        running--;
    }
    return now() - began;
}

/* One end of a pipe of a child that runs, in an epoll set; the child has ended when both have. */
struct end {
    int fd;
    struct child *child;
};

struct child {
    pid_t pid;
    int open;
    struct end ends[2];
};

static void start(struct child *child, int set)
{
    char *argv[] = {"/bin/true", NULL};
    int pipes[2][2];
    if (pipe2(pipes[0], O_CLOEXEC) || pipe2(pipes[1], O_CLOEXEC))
        exit(1);
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(pipes[0][1], 1);
        dup2(pipes[1][1], 2);
        if (sessions)
            setsid();
        execve(argv[0], argv, environ);
        _exit(127);
    }
    child->pid = pid;
    child->open = 2;
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &child->ends[i]};
        close(pipes[i][1]);
        child->ends[i].fd = pipes[i][0];
        child->ends[i].child = child;
        epoll_ctl(set, EPOLL_CTL_ADD, pipes[i][0], &event);
    }
}

static double run(int count, int at_once)
{
    static char buffer[65536];
    struct child *children = calloc(at_once, sizeof *children);
    struct epoll_event events[64];
    int started = 0, running = 0, status, set = epoll_create1(EPOLL_CLOEXEC);
    double began = now();
    for (; running < at_once && started < count; running++)
        start(&children[started++], set);
    while (running) {
        int found = epoll_wait(set, events, 64, -1);
        for (int i = 0; i < found; i++) {
            struct end *end = events[i].data.ptr;
            if (read(end->fd, buffer, sizeof buffer) > 0)
                continue;
            /* A child that is about to pass exec has a copy for a moment: closing alone would leave it in the set. */
            epoll_ctl(set, EPOLL_CTL_DEL, end->fd, NULL);
            close(end->fd);
            if (--end->child->open)
                continue;
            waitpid(end->child->pid, &status, 0);
            if (started < count) {
                started++;
                start(end->child, set);
            } else
                running--;
        }
    }
    close(set);
    free(children);
    return now() - began;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double capture(char *self, char *size, int count)
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
            exit(1);
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
            exit(1);
    }
    qsort(took, count, sizeof *took, by_size);
    double median = took[count / 2];
    free(took);
    return median;
}

static int serve(void)
{
    char line[4096], word[16], program[4000], size[32];
    int count, at_once;
    while (fgets(line, sizeof line, stdin)) {
        double took;
        if (sscanf(line, "capture %3999s %31s %d", program, size, &count) == 3)
            took = capture(program, size, count);
        else if (sscanf(line, "%15s %d %d", word, &count, &at_once) == 3)
            took = strcmp(word, "run") ? spawn(count, at_once) : run(count, at_once);
        else
            return 2;
        printf("%.9f\n", took);
        fflush(stdout);
    }
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
    sessions = argc == 2 && !strcmp(argv[1], "sessions");
    if (argc == 1 || sessions)
        return serve();
    fprintf(stderr, "usage: process [sessions | write BYTES | lines COUNT]\n");
    return 2;
}
