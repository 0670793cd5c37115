/* remote_source.h - the samples of another server, asked for by remote read. */
#ifndef TIDE_REMOTE_SOURCE_H
#define TIDE_REMOTE_SOURCE_H

#include "base/base.h"
#include "base/buf.h"
#include "selection_arguments.h"
#include "wire/remote_read_answer.h"

/* Zero it and set what is asked for. */
struct remote_source {
    const char *url; /* of its route: http://old:9090/api/v1/read; may hold NAME:PASSWORD@ */
    const char *ca;  /* certificates to trust instead of the system's; may be NULL */
    const struct selection_arguments *selection; /* no selector: everything */
    /* Takes samples of a series as they come (remote_read_answer.h). */
    int (*take)(void *ctx, const struct labels *labels, const struct columns *samples,
                struct error *err);
    void *ctx;
    uint64_t histograms; /* out: what has no place here */
};

/** Asks for everything and hands it over. @return 0, or -1: it was said what is wrong */
TIDE_NODISCARD int remote_source_read(struct remote_source *source);

#endif
