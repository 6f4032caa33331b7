/* What the benchmarks run; app.py is the same where there is no compiler.
 *
 *     app full LINES GATE TIMES          LINES numbered lines at full speed, then it sleeps for ever
 *     app paced LINES PER_SECOND GATE    LINES numbered lines, one write each, then it sleeps for ever
 *     app stamp FILE                     its pid and the monotonic nanoseconds of its start, then it sleeps for ever
 *
 * GATE is a file: nobody begins while it is locked (flock). TIMES gets the monotonic nanoseconds of begin and end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, DIGITS = 12, BUFFER = 65536 };

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void put(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done <= 0) exit(1);
        data += done;
        size -= (size_t)done;
    }
}

static void pass(const char *gate) {
    int fd = open(gate, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH)) exit(2);
    close(fd);
}

static void tell(const char *path, const char *format, long long first, long long second) {
    char text[80];
    int size = snprintf(text, sizeof text, format, first, second);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) exit(3);
    put(fd, text, (size_t)size);
    close(fd);
}

static char line[LINE];

static void begin_lines(void) {
    memset(line, 'x', sizeof line);
    memset(line, '0', DIGITS);
    line[DIGITS] = ' ';
    line[LINE - 1] = '\n';
}

static void count(void) {
    int at = DIGITS - 1;
    while (at >= 0 && line[at] == '9') line[at--] = '0';
    line[at]++;
}

/* The buffer is no multiple of a line: writes end within lines, as those of stdio do. */
static void full(long lines, const char *times) {
    static char buffer[BUFFER + LINE];
    size_t used = 0;
    long long began = now();
    while (lines--) {
        memcpy(buffer + used, line, LINE);
        count();
        used += LINE;
        if (used >= BUFFER) {
            put(1, buffer, BUFFER);
            used -= BUFFER;
            memcpy(buffer, buffer + BUFFER, used);
        }
    }
    put(1, buffer, used);
    tell(times, "%lld %lld\n", began, now());
}

static void paced(long lines, long per_second) {
    long long began = now();
    for (long done = 0; done < lines; count()) {
        put(1, line, LINE);
        long long due = began + ++done * 1000000000LL / per_second;
        struct timespec until = {due / 1000000000LL, due % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
}

int main(int argc, char **argv) {
    long long began = now();
    begin_lines();
    if (argc == 5 && !strcmp(argv[1], "full")) {
        pass(argv[3]);
        full(atol(argv[2]), argv[4]);
    } else if (argc == 5 && !strcmp(argv[1], "paced")) {
        pass(argv[4]);
        paced(atol(argv[2]), atol(argv[3]));
    } else if (argc == 3 && !strcmp(argv[1], "stamp")) {
        tell(argv[2], "%lld %lld\n", getpid(), began);
    } else {
        return 64;
    }
    for (;;) pause();
}
