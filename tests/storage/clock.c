/* LD_PRELOAD: shifts the clock of a program by $CLOCK_SHIFT seconds; elapsed time is not shifted. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    const char *shift = getenv("CLOCK_SHIFT");
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (!result && clock == CLOCK_REALTIME && shift) time->tv_sec += atol(shift);
    return result;
}
