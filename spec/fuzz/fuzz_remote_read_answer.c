/* fuzz_remote_read_answer.c - answers to remote read: any bytes are read or refused, as frames in
 * two pieces and as one message of samples. Checksums are not looked at here, or nothing would get
 * behind them: the frame is made around the bytes. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "push_fuzz.h"
#include "wire/remote_read_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *ctx, const struct labels *labels, const struct columns *samples,
                struct error *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = 0; i < labels_count(labels); i++)
        push_fuzz_touch(labels_at(labels, i).value, labels_at(labels, i).value_len);
    for (size_t i = 1; i < samples->len; i++) {
        if (samples->times_ms[i] <= samples->times_ms[i - 1])
            abort();
    }
    return 0;
}

static void read_frames(const uint8_t *bytes, size_t len, size_t first)
{
    struct remote_read_answer answer = {.take = take};
    struct error err;

    if (remote_read_answer_feed(&answer, bytes, first, &err) == 0 &&
        remote_read_answer_feed(&answer, bytes + first, len - first, &err) == 0)
        (void)!remote_read_answer_end(&answer, &err);
    remote_read_answer_destroy(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_read_answer answer = {.take = take};
    struct buf frame = {0};
    struct error err;

    buf_reserve(&frame, VARINT_MAX_BYTES + 4);
    frame.len = uvarint_put(frame.data, size);
    put_be32(frame.data + frame.len, crc32c(0, data, size));
    frame.len += 4;
    buf_append(&frame, data, size);
    read_frames(frame.data, frame.len, size % frame.len);
    read_frames(data, size, size / 2);
    (void)!remote_read_answer_samples(&answer, data, size, &err);
    remote_read_answer_destroy(&answer);
    buf_destroy(&frame);
    return 0;
}
