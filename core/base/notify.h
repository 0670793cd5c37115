/* notify.h - tells the service manager how we are (systemd's sd_notify protocol, one datagram). */
#ifndef TIDE_BASE_NOTIFY_H
#define TIDE_BASE_NOTIFY_H

#include "base/base.h"

/** Sends "READY=1", "STATUS=..." and the like to $NOTIFY_SOCKET; does nothing when it is not set.
 * Thread-safe. */
void notify_manager(const char *state);
/** How often the manager wants to hear "WATCHDOG=1" ($WATCHDOG_USEC, for this process), in
 * milliseconds; 0: it does not watch. */
int64_t notify_watchdog_ms(void);

#endif
