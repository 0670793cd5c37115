/* alert_masks.c - see alert_masks.h. */
#include "script/alert_masks.h"

#include <stdlib.h>

#include "base/mem.h"
#include "script/mask.h"
#include "script/rulebook_impl.h"
#include "script/shape.h"

static int compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct alert_mask *)a)->labels;
    uintptr_t y = (uintptr_t)((const struct alert_mask *)b)->labels;

    return (x > y) - (x < y);
}

static void hide_name(struct labels_builder *builder, const char *name)
{
    labels_builder_delete(builder, name, strlen(name));
}

/* *seen: NULL when the rules leave them alone. */
static int mask(struct rulebook *book, struct read_request *read, const struct alert_view *alert,
                struct labels **seen, struct error *err)
{
    struct labels *series = alert_series_labels(alert->labels, "ALERTS", alert->state);
    struct labels_builder builder;
    struct labels *masked;
    int result = rulebook_mask(book, read, series, &masked, err);

    *seen = NULL;
    if (result == 0 && masked != NULL) {
        labels_builder_init(&builder);
        labels_builder_reset(&builder, masked);
        hide_name(&builder, LABEL_METRIC_NAME);
        hide_name(&builder, ALERT_STATE_LABEL);
        *seen = labels_builder_build(&builder);
        labels_builder_destroy(&builder);
        if (labels_equal(*seen, alert->labels)) {
            labels_unref(*seen);
            *seen = NULL;
        }
        labels_unref(masked);
    }
    labels_unref(series);
    return result;
}

int alert_masks_fill(struct alert_masks *masks, struct rulebook *book, struct read_request *read,
                     const struct ruleset *set, struct error *err)
{
    size_t count;
    struct alert_view *views =
        alerts_views(book->alerts, set, read->restrictions, read->restriction_count, &count);
    int result = 0;

    *masks = (struct alert_masks){.items = mem_zalloc(count + 1, sizeof(*masks->items))};
    for (size_t i = 0; i < count && result == 0; i++) {
        struct alert_mask *item = &masks->items[masks->count++];

        item->labels = labels_ref(views[i].labels);
        result = mask(book, read, &views[i], &item->seen, err);
    }
    for (size_t i = 0; i < count; i++)
        labels_unref(views[i].labels);
    mem_free(views);
    if (masks->count > 1)
        qsort(masks->items, masks->count, sizeof(*masks->items), compare);
    return result;
}

const struct alert_mask *alert_masks_find(const struct alert_masks *masks,
                                          const struct labels *labels)
{
    const struct alert_mask wanted = {.labels = labels};

    return masks->count == 0
               ? NULL
               : bsearch(&wanted, masks->items, masks->count, sizeof(*masks->items), compare);
}

void alert_masks_destroy(struct alert_masks *masks)
{
    for (size_t i = 0; i < masks->count; i++) {
        labels_unref(masks->items[i].labels);
        labels_unref(masks->items[i].seen);
    }
    mem_free(masks->items);
    *masks = (struct alert_masks){0};
}
