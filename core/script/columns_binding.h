/* columns_binding.h - columns of numbers as Lua sees them: #c, c[i], and sums in C.
 *
 * Operator code runs with the JIT off, so what goes over many numbers is offered as a method. A
 * column is borrowed (from a query's window, for one call) or owned by the Lua state. Times read as
 * seconds. */
#ifndef TIDE_SCRIPT_COLUMNS_BINDING_H
#define TIDE_SCRIPT_COLUMNS_BINDING_H

#include "base/base.h"

#ifndef TIDE_CDEF

struct lua_State;

/* The memory of the numbers behind a userdata. */
struct lua_column {
    const double *values;    /* or */
    const int64_t *times_ms; /* one of both is set */
    size_t len;
    uint64_t era; /* of the binding, while what is borrowed is there; 0: owned */
};

/** Makes the metatable of columns; once a state, inside sandbox_run. */
void columns_open_raises(struct lua_State *L);
/** Whether a value is a column. */
bool columns_is_one(struct lua_State *L, int at);
/** Its length, and the i-th number (from 0) of so many: times are seconds. */
size_t columns_len_raises(struct lua_State *L, int at);
double columns_at_raises(struct lua_State *L, int at, size_t i);
/** Pushes an owned copy. */
void columns_push_values_raises(struct lua_State *L, const double *values, size_t len);
void columns_push_times_raises(struct lua_State *L, const int64_t *times_ms, size_t len);
/** Pushes an empty borrowed column, to be pointed at something; it stays the caller's to change. */
struct lua_column *columns_push_borrowed_raises(struct lua_State *L);

#endif
#endif
