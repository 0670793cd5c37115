/* fuzz_influx.c - any bytes are read or refused. */
#include "push_fuzz.h"
#include "wire/influx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode_lines(const uint8_t *body, size_t len, struct push *push, struct batch *batch,
                        struct append_result *result, struct error *err)
{
    static const int64_t units[] = {INFLUX_GUESS, INFLUX_NANOSECONDS, 1000, 1000000, 3600000000000};

    return influx_decode(body, len, units[len % 5], push, batch, result, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return push_fuzz_run(data, size, decode_lines);
}
