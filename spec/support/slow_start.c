/* slow_start.c - the server's HTTP over a store that opens from a slow disk, for specs that look at
 * a start.
 *
 * Usage: slow_start FOLDER MICROSECONDS [ADDRESS]. Each operation on the folder takes so much
 * longer. Prints its address before it opens the store; serves until SIGTERM, leaves the folder as
 * a crash would.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/logger.h"
#include "disk/volume_fault.h"
#include "http/http_server.h"
#include "script/config.h"
#include "store/store.h"

static int run(struct volume *volume, struct http_options *options, struct store_progress *progress)
{
    struct store_options store_options;
    struct http_server *server;
    struct store *store;
    struct error err;
    sigset_t signals;
    int received;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    server = http_server_start(options, &err);
    if (server == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%s\n", http_server_address(server, 0));
    fflush(stdout);
    store_options_init(&store_options);
    store_options.volume = volume;
    store_options.retention_ms = RETENTION_FOREVER;
    store = store_open(&store_options, progress, &err);
    if (store == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    volume_fault_slow(volume, 0);
    http_server_open(server, store);
    sigwait(&signals, &received);
    http_server_stop(server);
    store_abandon(store);
    return 0;
}

int main(int argc, char **argv)
{
    static char any[] = "127.0.0.1:0";
    struct config_listener listen = {.address = argc > 3 ? argv[3] : any};
    struct store_progress progress = {0};
    struct http_options options;
    struct volume *inner, *volume;
    struct error err;
    int status;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: slow_start FOLDER MICROSECONDS [ADDRESS]\n");
        return 2;
    }
    logger_set_level(LOG_LEVEL_ERROR);
    inner = volume_posix_open(argv[1], false, &err);
    if (inner == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    volume = volume_fault_new(inner);
    volume_fault_slow(volume, (uint32_t)strtoul(argv[2], NULL, 10));
    http_options_init(&options);
    options.listen = &listen;
    options.listen_count = 1;
    options.progress = &progress;
    options.metrics = metrics_new();
    options.version = "spec";
    status = run(volume, &options, &progress);
    metrics_free(options.metrics);
    volume->close(volume);
    inner->close(inner);
    return status;
}
