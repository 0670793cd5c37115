/* volume_forward.h - volumes, writers and tables that pass everything on to another one, for those
 * that change a few operations: embed one as the first member, start it, then put the own
 * functions in.
 *
 * What is allocated around these is freed with mem_free by `close`, `publish` and `discard`; the
 * inner volume is borrowed, inner writers and tables are owned. Threads and errors: as of the inner
 * one. */
#ifndef TIDE_DISK_VOLUME_FORWARD_H
#define TIDE_DISK_VOLUME_FORWARD_H

#include "disk/volume.h"

struct volume_forward {
    struct volume volume;
    struct volume *inner;
};

struct writer_forward {
    struct volume_writer writer;
    struct volume_writer *inner;
};

struct kv_forward {
    struct kv kv;
    struct kv *inner;
};

void volume_forward_start(struct volume_forward *self, struct volume *inner);
void writer_forward_start(struct writer_forward *self, struct volume_writer *inner);
void kv_forward_start(struct kv_forward *self, struct kv *inner);

#endif
