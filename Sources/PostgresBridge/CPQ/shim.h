// The C interface of PostgresBridge: libpq, and eventfd to wake a connection that waits in poll(2).
#ifndef STREAMFORGE_CPQ_SHIM_H
#define STREAMFORGE_CPQ_SHIM_H

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>

// libpq prints a server's notices to stderr unless they are taken; ours have no reader.
static inline void cpq_ignore_notice(void *context, const PGresult *notice) {
    (void)context;
    (void)notice;
}

static inline void cpq_ignore_notices(PGconn *connection) {
    PQsetNoticeReceiver(connection, cpq_ignore_notice, 0);
}

// EFD_NONBLOCK and EFD_CLOEXEC are enum members that Swift imports as a type of their own.
static inline int cpq_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

#endif
