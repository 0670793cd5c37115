/* operate_binding.h - the engine in the operator's hands: what only a console may do. */
#ifndef TIDE_SCRIPT_OPERATE_BINDING_H
#define TIDE_SCRIPT_OPERATE_BINDING_H

#ifndef TIDE_CDEF

struct lua_State;

/** Adds the functions to `native`, whose table is on top of the stack. */
void operate_open_raises(struct lua_State *L);

#endif
#endif
