/* eval_sink.c - ways that rows go: into a block, or through a change to another sink. */
#include "promql/eval.h"
#include "promql/eval_math.h"

static double *block_sink_room(struct sink *sink)
{
    struct block_sink *self = (struct block_sink *)sink;

    if (self->spare == NULL)
        self->spare = block_room(self->block);
    return self->spare;
}

static int block_sink_take(struct sink *sink, struct row *row, struct error *err)
{
    struct block_sink *self = (struct block_sink *)sink;
    size_t steps = self->block->steps;
    size_t count = eval_row_cost(row_count(row->values, steps), steps);
    double *values = block_sink_room(sink);

    if (eval_hold(self->ev, count, err) != 0) {
        labels_unref(row->labels);
        return -1;
    }
    self->block->held += count;
    if (row->values != values)
        memcpy(values, row->values, steps * sizeof(*values));
    self->spare = NULL;
    block_add(self->block, row->labels, values, row->drop_name);
    return 0;
}

void block_sink_init(struct block_sink *sink, struct eval *ev, struct block *block)
{
    *sink = (struct block_sink){
        .sink = {.room = block_sink_room, .take = block_sink_take}, .ev = ev, .block = block};
}

static double *map_sink_room(struct sink *sink)
{
    struct map_sink *self = (struct map_sink *)sink;

    return self->to->room(self->to);
}

static int map_sink_take(struct sink *sink, struct row *row, struct error *err)
{
    struct map_sink *self = (struct map_sink *)sink;

    self->map(self, row->values);
    if (self->drops_name)
        row->drop_name = true;
    return self->to->take(self->to, row, err);
}

void map_sink_init(struct map_sink *sink, struct sink *to, size_t steps)
{
    *sink = (struct map_sink){
        .sink = {.room = map_sink_room, .take = map_sink_take}, .to = to, .steps = steps};
}
