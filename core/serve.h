/* serve.h - the life of the server: open, listen, wait for a signal, stop cleanly. */
#ifndef TIDE_SERVE_H
#define TIDE_SERVE_H

#include "base/metrics.h"
#include "command.h"
#include "script/rulebook.h"
#include "store/store.h"

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reloads. Blocks; to be called once, on the main thread,
 * before any other thread was started. Says in one line on standard error why it failed.
 *
 * @param arguments  name the configuration that a reload reads again
 * @return 0 after a clean stop, -1 if it could not start or could not save everything
 */
int serve(const struct arguments *arguments, const struct config *config);

/** What a server with this configuration gives its store, and its rules. Borrows from it. */
void serve_fill_store_options(struct store_options *options, const struct config *config,
                              struct metrics *metrics);
void serve_fill_rule_options(struct rulebook_options *options, const struct config *config,
                             struct metrics *metrics);

#endif
