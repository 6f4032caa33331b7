/* A strict HTTP client: what is refused, reset, cut, late, not 2xx or not the answer to the question is a failure.
 *
 *     cluster_client HOST PORT SECONDS LATE GROUP...     GROUP = NAME:HOW:CONNECTIONS:RATE
 *
 * It ends after SECONDS, or at the end of its input, waits for what is under way, and prints one line of JSON.
 * HOW: keep     CONNECTIONS kept alive, together RATE requests a second (0: the next one at once), at uneven distances
 *      fresh    a connection for each request; with CONNECTIONS 0 a new one whenever RATE says so, else as many at once
 *      lag      as fresh, and the request is sent 30 ms after the connection was made
 *      slow     as fresh, the answer takes its time; slowkeep: as keep
 *      accepts  as fresh, nothing is sent and the server has to close
 *
 * A kept connection that the server closes while it is idle is no failure: it is seen before the next request is sent.
 * "stale" is a request on a connection that has served before and is reset with no byte of an answer: the server closed
 * just then, and never read the request. The kernel tells: close() with unread data sends RST, else FIN. So a FIN with
 * no RST soon after it ("closed") says that the request was read and not answered, which is a failure like any other.
 * Lists of failures carry CLOCK_MONOTONIC seconds. One thread, epoll, nothing is allocated per request.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

#define LAG 0.03
#define HALF_OPEN 0.1 /* seconds that an RST may come after a FIN */
#define OVERTIME 1.0  /* beyond LATE, at the end */

enum { EVENTS = 256, DATA = 2048, GROUPS = 8, LISTED = 2000, WORKERS = 4096 };
enum state { NONE, IDLE, CONNECTING, LAGGING, WAITING, HALF };
enum kind { REFUSED, RESET, CLOSED, CUT, DROPPED, STATUS, MALFORMED, LATE, KINDS };
static const char *const KIND[] = {"refused", "reset", "closed", "cut", "dropped", "status", "malformed", "late"};

struct group {
    char name[32];
    bool keeps, lags, is_slow, accepts;
    int connections;
    double rate, next;
    long requests, ok, stale, idle_closed, made, failed[KINDS];
    float *took;
    long room;
};

struct connection {
    struct group *group;
    struct connection *before, *after; /* among those with a request under way */
    enum state state;
    int fd, worker;
    bool closes;
    unsigned served;
    double due, started, opened, sent;
    char path[32];
    size_t got, need;
    char data[DATA];
};

struct listed {
    const char *kind, *group;
    double opened, sent, failed;
    int worker;
    unsigned served;
};

static struct group groups[GROUPS];
static struct connection *slots, *spare, busy = {.before = &busy, .after = &busy};
static struct listed listed[LISTED];
static struct sockaddr_in server;
static char host[64], example[200];
static int count_groups, count_slots, poller, under_way, count_listed;
static double late, now, stall;
static bool is_ending;
static unsigned long number;
static struct { int pid; long requests; } workers[WORKERS];

static double clock_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fatal(const char *what) {
    fprintf(stderr, "cluster_client: %s: %s\n", what, strerror(errno));
    exit(3);
}

static double gap(double rate) { return rate > 0 ? -log(1.0 - drand48()) / rate : 0; }

/* What is under way ------------------------------------------------------------------------------------------- */

static void enter(struct connection *one) {
    one->before = busy.before;
    one->after = &busy;
    busy.before->after = one;
    busy.before = one;
    under_way++;
}

static void leave(struct connection *one) {
    one->before->after = one->after;
    one->after->before = one->before;
    under_way--;
}

static bool is_slot(struct connection *one) { return one >= slots && one < slots + count_slots; }

static void hang_up(struct connection *one) {
    if (one->fd >= 0) close(one->fd);
    one->fd = -1;
    one->state = NONE;
    one->served = 0;
    one->worker = 0;
}

static void next_turn(struct connection *one, bool at_once) {
    if (!is_slot(one)) {
        hang_up(one);
        one->after = spare;
        spare = one;
        return;
    }
    struct group *group = one->group;
    one->due += gap(group->rate / group->connections);
    if (one->due < now || group->rate <= 0) one->due = at_once ? now : now + 0.001;
}

static void failed(struct connection *one, enum kind kind) {
    leave(one);
    one->group->failed[kind]++;
    if (count_listed < LISTED)
        listed[count_listed++] = (struct listed){
            KIND[kind], one->group->name, one->opened, one->sent, now, one->worker, one->served};
    hang_up(one);
    next_turn(one, false);
}

static void went_stale(struct connection *one) {
    leave(one);
    one->group->stale++;
    if (count_listed < LISTED)
        listed[count_listed++] = (struct listed){
            "stale", one->group->name, one->opened, one->sent, now, one->worker, one->served};
    hang_up(one);
    next_turn(one, false);
}

static void count_worker(int pid) {
    if (pid == 0) return;
    unsigned at = (unsigned)pid % WORKERS;
    while (workers[at].pid && workers[at].pid != pid) at = (at + 1) % WORKERS;
    workers[at].pid = pid;
    workers[at].requests++;
}

static void succeeded(struct connection *one) {
    struct group *group = one->group;
    leave(one);
    if (group->ok == group->room) {
        group->room = group->room ? 2 * group->room : 1 << 14;
        group->took = realloc(group->took, (size_t)group->room * sizeof *group->took);
        if (group->took == NULL) fatal("memory");
    }
    group->took[group->ok++] = (float)(now - one->started);
    count_worker(one->worker);
    one->served++;
    if (group->keeps && !one->closes) one->state = IDLE;
    else hang_up(one);
    next_turn(one, true);
}

/* One exchange ------------------------------------------------------------------------------------------------ */

static void watch(struct connection *one, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = one};
    if (epoll_ctl(poller, how, one->fd, &event)) fatal("epoll_ctl");
}

static void lost(struct connection *one, bool is_reset) {
    if (one->group->accepts && !is_reset && one->got == 0) return succeeded(one);
    if (one->got > 0) return failed(one, CUT);
    if (one->served == 0) return failed(one, is_reset ? RESET : CLOSED);
    if (is_reset) return went_stale(one);
    one->state = HALF;
    one->due = now + HALF_OPEN;
    watch(one, EPOLL_CTL_MOD, 0); /* errors are told all the same */
}

static void ask(struct connection *one) {
    char text[256];
    struct group *group = one->group;
    snprintf(one->path, sizeof one->path, "/%s/%lu", group->is_slow ? "slow" : "fast", number++);
    int size = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: strict\r\nAccept: */*\r\n%s\r\n",
                        one->path, host, group->keeps ? "" : "Connection: close\r\n");
    one->got = one->need = 0;
    one->closes = false;
    one->sent = clock_now();
    if (group->lags) one->started = one->sent - (one->started - one->opened);
    bool was_lagging = one->state == LAGGING;
    one->state = WAITING;
    ssize_t done = send(one->fd, text, (size_t)size, MSG_NOSIGNAL);
    if (done == size) return;
    if (done >= 0) fatal("a request did not fit");
    if (errno != EPIPE && errno != ECONNRESET) fatal("send");
    if (was_lagging) return failed(one, DROPPED);
    lost(one, true);
}

static void connected(struct connection *one) {
    if (one->group->accepts) {
        one->got = 0;
        one->state = WAITING;
    } else if (one->group->lags) {
        one->state = LAGGING;
        one->due = now + LAG;
        one->started = now; /* until it is sent: how long connecting took is started - opened */
    } else {
        ask(one);
    }
}

static void open_connection(struct connection *one) {
    static unsigned turn;
    int yes = 1;
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one->fd < 0) fatal("socket");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* From many addresses of the loopback, so that no port is missing while old ones are in TIME_WAIT. */
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000100u + 1 + turn++ % 250);
    setsockopt(one->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(one->fd, (struct sockaddr *)&from, sizeof from)) fatal("bind");
    one->opened = one->started;
    one->sent = 0;
    one->group->made++;
    one->state = CONNECTING;
    int done = connect(one->fd, (struct sockaddr *)&server, sizeof server);
    if (done && errno == ECONNREFUSED) return failed(one, REFUSED);
    if (done && errno == ECONNRESET) return failed(one, RESET);
    if (done && errno != EINPROGRESS) fatal("connect");
    watch(one, EPOLL_CTL_ADD, done ? EPOLLOUT : EPOLLIN | EPOLLRDHUP);
    if (!done) connected(one);
}

static void begin(struct connection *one) {
    struct group *group = one->group;
    char byte;
    group->requests++;
    if (one->state == IDLE && group->rate > 0 && recv(one->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
        group->idle_closed++;
        hang_up(one);
    }
    enter(one);
    one->started = clock_now();
    one->got = 0;
    if (one->state == IDLE) ask(one);
    else open_connection(one);
}

static void begin_new(struct group *group) {
    struct connection *one = spare;
    if (one) spare = one->after;
    else one = malloc(sizeof *one);
    if (one == NULL) fatal("memory");
    memset(one, 0, offsetof(struct connection, data));
    one->fd = -1;
    one->group = group;
    begin(one);
}

static void parse(struct connection *one) {
    one->data[one->got] = 0;
    if (one->need == 0) {
        char *end = strstr(one->data, "\r\n\r\n");
        if (end == NULL) {
            if (one->got == DATA - 1) failed(one, MALFORMED);
            return;
        }
        size_t head = (size_t)(end - one->data) + 4;
        if (strncmp(one->data, "HTTP/1.", 7) || one->data[9] != '2') {
            if (!example[0]) snprintf(example, sizeof example, "%.*s", (int)strcspn(one->data, "\r\n"), one->data);
            for (char *at = example; *at; at++)
                if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\') *at = '?';
            return failed(one, STATUS);
        }
        *end = 0;
        char *length = strcasestr(one->data, "\r\ncontent-length:"), *worker = strcasestr(one->data, "\r\nx-worker:");
        char *connection = strcasestr(one->data, "\r\nconnection:");
        one->closes = one->data[7] == '0' || (connection && !strncasecmp(connection + 13 + strspn(connection + 13, " "), "close", 5));
        if (worker) one->worker = atoi(worker + 11);
        *end = '\r';
        if (length == NULL) return failed(one, MALFORMED);
        one->need = head + (size_t)atol(length + 17);
        if (one->need >= DATA) return failed(one, MALFORMED);
    }
    if (one->got < one->need) return;
    size_t size = strlen(one->path);
    if (one->got > one->need || one->need < size || memcmp(one->data + one->need - size, one->path, size))
        return failed(one, MALFORMED);
    succeeded(one);
}

static void receive(struct connection *one) {
    ssize_t size = recv(one->fd, one->data + one->got, DATA - 1 - one->got, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (one->state == IDLE) {
        if (size > 0 && !memmem(one->data, (size_t)size, " 408 ", 5)) one->group->failed[MALFORMED]++;
        one->group->idle_closed++;
        hang_up(one);
    } else if (one->state == LAGGING) {
        failed(one, size > 0 ? MALFORMED : DROPPED);
    } else if (size <= 0) {
        lost(one, size < 0);
    } else {
        one->got += (size_t)size;
        parse(one);
    }
}

static void happened(struct connection *one, uint32_t events) {
    if (one->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) return failed(one, error == ECONNREFUSED ? REFUSED : RESET);
        watch(one, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP);
        connected(one);
    } else if (one->state == HALF) {
        if (events & (EPOLLERR | EPOLLHUP)) went_stale(one);
    } else if (one->state != NONE) {
        receive(one);
    }
}

/* The whole --------------------------------------------------------------------------------------------------- */

static void look_at_those_under_way(void) {
    for (struct connection *one = busy.after, *next; one != &busy; one = next) {
        next = one->after;
        if (one->state == LAGGING && one->due <= now) ask(one);
        else if (one->state == HALF && one->due <= now) failed(one, CLOSED);
        else if (one->state != LAGGING && one->state != HALF && now - one->started > late) failed(one, LATE);
    }
}

static void begin_those_due(void) {
    for (int at = 0; at < count_slots; at++)
        if ((slots[at].state == IDLE || slots[at].state == NONE) && slots[at].due <= now) begin(&slots[at]);
    for (int at = 0; at < count_groups; at++)
        for (struct group *group = &groups[at]; group->connections == 0 && group->next <= now;) {
            begin_new(group);
            group->next += gap(group->rate);
            if (group->next < now - 0.1) group->next = now; /* we were held up: no flood afterwards */
        }
}

static bool has_ended(double end) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char byte;
    return now >= end || (poll(&input, 1, 0) > 0 && read(0, &byte, 1) == 0);
}

static void work(double seconds) {
    struct epoll_event events[EVENTS];
    double end = now + seconds, give_up = 0, before = now;
    while (!is_ending || (under_way && now < give_up)) {
        if (!is_ending) begin_those_due();
        look_at_those_under_way();
        int count = epoll_wait(poller, events, EVENTS, 1);
        now = clock_now();
        if (now - before > stall) stall = now - before;
        before = now;
        for (int at = 0; at < count; at++) happened(events[at].data.ptr, events[at].events);
        if (!is_ending && has_ended(end)) {
            is_ending = true;
            give_up = now + late + OVERTIME;
        }
    }
}

static void add_group(const char *text) {
    struct group *group = &groups[count_groups++];
    char how[16];
    if (count_groups > GROUPS || sscanf(text, "%31[^:]:%15[^:]:%d:%lf", group->name, how, &group->connections, &group->rate) != 4) {
        fprintf(stderr, "cluster_client: not a group: %s\n", text);
        exit(2);
    }
    group->keeps = strstr(how, "keep") != NULL;
    group->is_slow = strncmp(how, "slow", 4) == 0;
    group->lags = strcmp(how, "lag") == 0;
    group->accepts = strcmp(how, "accepts") == 0;
    group->next = now;
    count_slots += group->connections;
}

static void make_slots(void) {
    struct connection *one = slots = calloc((size_t)count_slots + 1, sizeof *slots);
    for (int at = 0; at < count_groups; at++)
        for (int each = 0; each < groups[at].connections; each++, one++) {
            one->group = &groups[at];
            one->fd = -1;
            one->due = now + gap(groups[at].rate / groups[at].connections);
        }
}

static int by_size(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static void tell_times(float *took, long count) {
    if (count == 0) return;
    qsort(took, (size_t)count, sizeof *took, by_size);
    printf(",\"p50\":%.6f,\"p99\":%.6f,\"max\":%.6f", (double)took[count / 2], (double)took[count * 99 / 100],
           (double)took[count - 1]);
}

/* Of all groups together but those whose answers take their time. */
static void tell_all_times(void) {
    long count = 0;
    for (int at = 0; at < count_groups; at++) count += groups[at].is_slow ? 0 : groups[at].ok;
    float *took = malloc((size_t)(count + 1) * sizeof *took), *end = took;
    if (took == NULL) fatal("memory");
    for (int at = 0; at < count_groups; at++)
        if (!groups[at].is_slow && groups[at].ok) {
            memcpy(end, groups[at].took, (size_t)groups[at].ok * sizeof *took);
            end += groups[at].ok;
        }
    tell_times(took, count);
    free(took);
}

static void tell(double took) {
    printf("{\"seconds\":%.3f,\"stall\":%.4f,\"unanswered\":%d,\"example\":\"%s\"", took, stall, under_way, example);
    tell_all_times();
    printf(",\"groups\":{");
    for (int at = 0; at < count_groups; at++) {
        struct group *group = &groups[at];
        printf("%s\"%s\":{\"requests\":%ld,\"ok\":%ld,\"stale\":%ld,\"idle_closed\":%ld,\"connections\":%ld,\"failed\":{",
               at ? "," : "", group->name, group->requests, group->ok, group->stale, group->idle_closed, group->made);
        for (int kind = 0, first = 1; kind < KINDS; kind++)
            if (group->failed[kind]) printf("%s\"%s\":%ld", first ? "" : ",", KIND[kind], group->failed[kind]), first = 0;
        printf("}");
        tell_times(group->took, group->ok);
        printf("}");
    }
    printf("},\"workers\":{");
    for (int at = 0, first = 1; at < WORKERS; at++)
        if (workers[at].pid) printf("%s\"%d\":%ld", first ? "" : ",", workers[at].pid, workers[at].requests), first = 0;
    printf("},\"failures\":[");
    for (int at = 0; at < count_listed; at++)
        printf("%s[\"%s\",\"%s\",%.4f,%.4f,%.4f,%d,%u]", at ? "," : "", listed[at].kind, listed[at].group, listed[at].opened,
               listed[at].sent, listed[at].failed, listed[at].worker, listed[at].served);
    printf("]}\n");
}

int main(int count, char **words) {
    if (count < 6) {
        fprintf(stderr, "usage: cluster_client HOST PORT SECONDS LATE NAME:HOW:CONNECTIONS:RATE ...\n");
        return 2;
    }
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(words[2]));
    if (inet_pton(AF_INET, words[1], &server.sin_addr) != 1) return 2;
    snprintf(host, sizeof host, "%.40s:%.8s", words[1], words[2]);
    late = atof(words[4]);
    srand48(1);
    poller = epoll_create1(EPOLL_CLOEXEC);
    double began = now = clock_now();
    for (int at = 5; at < count; at++) add_group(words[at]);
    make_slots();
    work(atof(words[3]));
    tell(now - began);
    return 0;
}
