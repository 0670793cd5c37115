/* operate_binding.h - the engine in the operator's hands: what only a console may do. */
#ifndef TIDE_SCRIPT_OPERATE_BINDING_H
#define TIDE_SCRIPT_OPERATE_BINDING_H

#ifndef TIDE_CDEF

struct lua_State;

struct actor;

/** The actor of the console line that runs; raises elsewhere. */
struct actor *operator_raises(struct lua_State *L);
/** intake_binding.c: as the next, of declared rules. */
void intake_open_raises(struct lua_State *L);
/** Adds the functions to `native`, whose table is on top of the stack. */
void operate_open_raises(struct lua_State *L);
/** look_binding.c: those that only look. */
void look_open_raises(struct lua_State *L);

#endif
#endif
