// Each thread that waits for events has a time of its own, which goes on when there are none, and each thread its own chance,
// which begins where RIVULET_TEST_SEED says.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static __thread uint64_t now;
static __thread uint64_t drawn;

int epoll_create1(int flags) {
    if (!now) now = 1000000000ull * 1000000;
    return (int)syscall(SYS_epoll_create1, flags);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!now || (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME))
        return (int)syscall(SYS_clock_gettime, clock, time);
    uint64_t at = now + (clock == CLOCK_REALTIME ? 1700000000000000000ull : 0);
    time->tv_sec = (time_t)(at / 1000000000), time->tv_nsec = (long)(at % 1000000000);
    return 0;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    if (!now) return (int)syscall(SYS_epoll_wait, epoll, events, most, timeout);
    int ready = (int)syscall(SYS_epoll_wait, epoll, events, most, 0);
    if (ready || !timeout) return ready;
    if (timeout < 0) {
        static const char said[] = "nothing is left to wait for\n";
        if (write(2, said, sizeof said - 1)) {}
        abort();
    }
    now += (uint64_t)timeout * 1000000;
    return 0;
}

ssize_t getrandom(void *bytes, size_t count, unsigned flags) {
    (void)flags;
    if (!drawn) {
        const char *seed = getenv("RIVULET_TEST_SEED");
        drawn = seed ? strtoull(seed, 0, 10) * 0x2545f4914f6cdd1dull + 1 : 1;
    }
    for (size_t at = 0; at < count; at += 8) {
        uint64_t next = drawn += 0x9e3779b97f4a7c15ull;
        next = (next ^ (next >> 30)) * 0xbf58476d1ce4e5b9ull;
        next = (next ^ (next >> 27)) * 0x94d049bb133111ebull;
        next ^= next >> 31;
        memcpy((char *)bytes + at, &next, count - at < 8 ? count - at : 8);
    }
    return (ssize_t)count;
}
