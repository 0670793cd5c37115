/* verdicts.h - what rules said of each series, as long as it is valid: so a pass asks them once.
 *
 * By the id of a series, with its generation: an id that changed hands has no answer. Few answers
 * differ, so a series takes 12 bytes. Under background_lock. */
#ifndef TIDE_STORE_VERDICTS_H
#define TIDE_STORE_VERDICTS_H

#include "base/base.h"
#include "store/policy.h"

struct verdict_slot {
    uint32_t generation;
    uint32_t until_s;     /* from base_ms on; UINT32_MAX: always */
    uint32_t answer : 13; /* index + 1; 0: none */
    uint32_t by_use : 1;  /* holds while the series is not read: */
    uint32_t stamp : 18;  /* of its reads then (verdict_stamp) */
};

struct verdict_answer {
    int64_t keep_ms;
    char *rule; /* owned; NULL: nobody's */
};

/* Zeroed is empty. */
struct verdicts {
    uint64_t version; /* of the policy */
    uint64_t rules;   /* their name, of all answers */
    int64_t base_ms;  /* wall clock */
    struct verdict_slot *slots;
    uint32_t slot_count;
    struct verdict_answer *answers;
    uint32_t answer_count;
    uint32_t *places; /* hash table of answers: index + 1; 0: free */
};

/** Forgets everything if `version` is another one than that of the answers. */
void verdicts_renew(struct verdicts *verdicts, uint64_t version, int64_t now_ms);
/** Makes room for ids below `ids`. */
void verdicts_reserve(struct verdicts *verdicts, uint32_t ids);
/** Tells reads of a series apart: taken before it is asked about, it is another one after a read
 * (of 262,144 times once it is not; then the answer holds as long as it said). */
uint32_t verdict_stamp(const struct use_table *uses, uint32_t id);
/** The answer that is still valid, whose `rule` lives until the next renewal; false: ask. */
bool verdicts_find(const struct verdicts *verdicts, const struct use_table *uses, uint32_t id,
                   uint32_t generation, int64_t now_ms, struct retention_verdict *verdict);
/** Remembers an answer; does nothing when there is no room for it. */
void verdicts_put(struct verdicts *verdicts, uint32_t id, uint32_t generation,
                  const struct retention_verdict *verdict, uint32_t stamp);
uint64_t verdicts_bytes(const struct verdicts *verdicts);
void verdicts_destroy(struct verdicts *verdicts);

#endif
