/* client.h - how a subcommand asks the running server over HTTP. */
#ifndef TIDE_CLIENT_H
#define TIDE_CLIENT_H

#include "base/base.h"
#include "base/fetch.h"
#include "command.h"

/* What the command line says about the server; zero it. */
struct client {
    const char *url;  /* --url; NULL: the configuration's first listener */
    const char *user; /* --user NAME:PASSWORD; NULL: the environment's TIDEMARK_USER, if any */
    const char *ca;   /* --ca FILE: certificates to trust instead of the system's */
};

/* Rows for a command's list of options. */
#define CLIENT_OPTIONS(client)                                                                     \
    {"--url", &(client).url, NULL}, {"--user", &(client).user, NULL},                              \
    {                                                                                              \
        "--ca", &(client).ca, NULL                                                                 \
    }
#define CLIENT_USAGE "[--config FILE] [--url URL] [--user NAME:PASSWORD] [--ca FILE]"

/**
 * One exchange, of any HTTP status. Of the request, what concerns the server is filled in here.
 *
 * @param path   with its parameters, encoded
 * @param reply  out: destroy it with fetch_reply_destroy
 * @return 0, or -1: it was said on standard error what is wrong
 */
TIDE_NODISCARD int client_exchange(const struct client *client, const struct config *config,
                                   const char *path, struct fetch_request *request,
                                   struct fetch_reply *reply);
/** Appends "&name=text", encoded. */
void client_put_parameter(struct buf *path, const char *name, const char *text);
/** Says on standard error what the server refused: the API's error text, or a short plain one. */
void client_print_refusal(const struct fetch_reply *reply);

/**
 * Asks and waits for the answer; only a status below 300 is one.
 *
 * @param path   with its parameters: "/-/reload"
 * @param body   NULL: none; then `method` may be NULL for GET
 * @param reply  out: of a status below 300; destroy it with fetch_reply_destroy
 * @return 0, or -1: it was said on standard error what is wrong
 */
TIDE_NODISCARD int client_ask(const struct client *client, const struct config *config,
                              const char *method, const char *path, const void *body,
                              size_t body_len, struct fetch_reply *reply);

#endif
