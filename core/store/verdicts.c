/* verdicts.c - see verdicts.h. */
#include "store/verdicts.h"

#include "base/mem.h"
#include "store/use_table.h"

/* A function may answer something else for every series: beyond that they are asked again. */
#define MAX_ANSWERS 4096u
#define PLACES (MAX_ANSWERS * 2)
#define STAMP_BITS 18

void verdicts_destroy(struct verdicts *verdicts)
{
    for (uint32_t i = 0; i < verdicts->answer_count; i++)
        mem_free(verdicts->answers[i].rule);
    mem_free(verdicts->answers);
    mem_free(verdicts->places);
    mem_free(verdicts->slots);
    *verdicts = (struct verdicts){0};
}

void verdicts_renew(struct verdicts *verdicts, uint64_t version, int64_t now_ms)
{
    /* A clock that was put back makes all answers valid for longer than they said. */
    if (verdicts->version == version && now_ms >= verdicts->base_ms)
        return;
    verdicts_destroy(verdicts);
    verdicts->version = version;
    verdicts->base_ms = now_ms;
}

void verdicts_reserve(struct verdicts *verdicts, uint32_t ids)
{
    uint32_t count = (ids + 4095) / 4096 * 4096;

    if (count <= verdicts->slot_count)
        return;
    verdicts->slots = mem_realloc(verdicts->slots, count * sizeof(*verdicts->slots));
    memset(verdicts->slots + verdicts->slot_count, 0,
           (count - verdicts->slot_count) * sizeof(*verdicts->slots));
    verdicts->slot_count = count;
}

uint32_t verdict_stamp(const struct use_table *uses, uint32_t id)
{
    struct use_reads reads = use_table_reads(uses, id);
    uint64_t mixed = ((uint64_t)reads.last_s << 32 | reads.count) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(mixed >> (64 - STAMP_BITS));
}

bool verdicts_find(const struct verdicts *verdicts, const struct use_table *uses, uint32_t id,
                   uint32_t generation, int64_t now_ms, struct retention_verdict *verdict)
{
    const struct verdict_slot *slot;
    const struct verdict_answer *answer;

    if (id >= verdicts->slot_count)
        return false;
    slot = &verdicts->slots[id];
    if (slot->answer == 0 || slot->generation != generation ||
        (slot->until_s != UINT32_MAX &&
         now_ms >= verdicts->base_ms + (int64_t)slot->until_s * 1000))
        return false;
    if (slot->by_use && slot->stamp != verdict_stamp(uses, id))
        return false;
    answer = &verdicts->answers[slot->answer - 1];
    *verdict = (struct retention_verdict){
        .keep_ms = answer->keep_ms, .rule = answer->rule, .rules = verdicts->rules};
    return true;
}

static uint32_t hash_answer(const struct retention_verdict *verdict)
{
    uint64_t hash = (uint64_t)verdict->keep_ms;

    for (const char *at = verdict->rule; at != NULL && *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static bool is_same(const struct verdict_answer *answer, const struct retention_verdict *verdict)
{
    if (answer->keep_ms != verdict->keep_ms || (answer->rule == NULL) != (verdict->rule == NULL))
        return false;
    return answer->rule == NULL || strcmp(answer->rule, verdict->rule) == 0;
}

/* Its index + 1; 0: there is no room. */
static uint32_t intern(struct verdicts *verdicts, const struct retention_verdict *verdict)
{
    uint32_t at = hash_answer(verdict) & (PLACES - 1);

    if (verdicts->places == NULL) {
        verdicts->places = mem_zalloc(PLACES, sizeof(*verdicts->places));
        verdicts->answers = mem_alloc(MAX_ANSWERS * sizeof(*verdicts->answers));
    }
    for (; verdicts->places[at] != 0; at = (at + 1) & (PLACES - 1)) {
        if (is_same(&verdicts->answers[verdicts->places[at] - 1], verdict))
            return verdicts->places[at];
    }
    if (verdicts->answer_count == MAX_ANSWERS)
        return 0;
    verdicts->answers[verdicts->answer_count++] = (struct verdict_answer){
        .keep_ms = verdict->keep_ms,
        .rule = verdict->rule != NULL ? mem_dup(verdict->rule, strlen(verdict->rule)) : NULL,
    };
    verdicts->places[at] = verdicts->answer_count;
    return verdicts->answer_count;
}

void verdicts_put(struct verdicts *verdicts, uint32_t id, uint32_t generation,
                  const struct retention_verdict *verdict, uint32_t stamp)
{
    int64_t valid_s = UINT32_MAX;

    if (id >= verdicts->slot_count)
        return;
    if (verdict->valid_until_ms != TIDE_LATEST_MS)
        valid_s = TIDE_MIN((verdict->valid_until_ms - verdicts->base_ms) / 1000, valid_s - 1);
    if (valid_s <= 0)
        return;
    verdicts->rules = verdict->rules;
    verdicts->slots[id] = (struct verdict_slot){
        .generation = generation,
        .until_s = (uint32_t)valid_s,
        .answer = intern(verdicts, verdict) & (MAX_ANSWERS * 2 - 1),
        .by_use = verdict->by_use,
        .stamp = stamp & ((1u << STAMP_BITS) - 1),
    };
}

uint64_t verdicts_bytes(const struct verdicts *verdicts)
{
    return verdicts->slot_count * sizeof(*verdicts->slots) +
           (verdicts->places != NULL
                ? MAX_ANSWERS * sizeof(*verdicts->answers) + PLACES * sizeof(*verdicts->places)
                : 0);
}
