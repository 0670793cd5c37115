/* tally.h - counters that scripts make: tide.metric.counter, shown as tidemark_script_NAME.
 *
 * Shared by all states and kept over reloads. Thread-safe; counting is atomic. */
#ifndef TIDE_SCRIPT_TALLY_H
#define TIDE_SCRIPT_TALLY_H

#include "base/base.h"
#include "base/metrics.h"

/* Names with their label values; more is refused, for a label could be anything. */
#define TALLY_MAX 1000

struct tally;
struct tallies;

/** @param metrics  may be NULL: counted, but not shown; borrowed */
struct tallies *tallies_new(struct metrics *metrics);
/** The metrics must not be printed any more. Takes NULL. */
void tallies_free(struct tallies *tallies);
/**
 * Finds or makes a counter, which lives as long as the set.
 *
 * @param name    without the prefix
 * @param labels  as printed between the braces, or ""
 * @return borrowed; NULL when there are TALLY_MAX others
 */
struct tally *tallies_get(struct tallies *tallies, const char *name, const char *help,
                          const char *labels);
void tally_add(struct tally *tally, uint64_t by);

#endif
