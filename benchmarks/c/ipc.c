/* Messages over a socket pair between two processes, as plainly as C does it: one write for each message, reads into
   a buffer of 64 KB, a 4-byte length before each message.  ipc oneway|roundtrip COUNT SIZE [CPU]: prints seconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER 65536

static void put(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done <= 0) exit(1);
        data += done;
        size -= done;
    }
}

/* Reads until count whole messages have come. */
static void take(int fd, long count, char *big, size_t room) {
    static size_t have;
    static size_t start;
    while (count) {
        while (have - start >= 4) {
            uint32_t size;
            memcpy(&size, big + start, 4);
            size = ntohl(size);
            if (have - start < 4 + size) break;
            start += 4 + size;
            if (--count == 0) return;
        }
        if (start) {
            memmove(big, big + start, have - start);
            have -= start;
            start = 0;
        }
        ssize_t done = read(fd, big + have, room - have);
        if (done <= 0) exit(1);
        have += done;
    }
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int is_trip = strcmp(argv[1], "roundtrip") == 0;
    long count = atol(argv[2]);
    size_t size = atol(argv[3]);
    if (argc > 4) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(atoi(argv[4]), &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    size_t room = 4 + size + BUFFER;
    char *message = calloc(1, 4 + size), *buffer = malloc(room);
    *(uint32_t *)message = htonl(size);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 1;
    pid_t child = fork();
    int fd = child ? ends[0] : ends[1];
    close(child ? ends[1] : ends[0]);
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (is_trip) {
        for (long i = 0; i < count; i++) {
            if (child) put(fd, message, 4 + size);
            take(fd, 1, buffer, room);
            if (!child) put(fd, message, 4 + size);
        }
    } else if (child) {
        for (long i = 0; i < count; i++) put(fd, message, 4 + size);
        take(fd, 1, buffer, room);
    } else {
        take(fd, count, buffer, room);
        put(fd, message, 4 + size);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    if (!child) return 0;
    waitpid(child, NULL, 0);
    printf("%.9f\n", ended.tv_sec - began.tv_sec + (ended.tv_nsec - began.tv_nsec) / 1e9);
    return 0;
}
