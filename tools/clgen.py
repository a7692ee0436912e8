#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""clgen.py IDL FILE...: generate FILEs (cl_calls.h, cl_rpc.[ch], cl_api.c, cl_dispatch.[ch]) from opencl.idl.

doc/opencl-design.md explains the language and what is generated. What all calls have in common is not here but in
cl_rpc_items.h (guest) and backend/opencl/dispatch.c (worker).
"""

import dataclasses
import os
import re
import sys

OBJECTS = {"device": "cl_device_id", "context": "cl_context", "queue": "cl_command_queue", "mem": "cl_mem",
           "sampler": "cl_sampler", "program": "cl_program", "kernel": "cl_kernel", "event": "cl_event"}
SCALARS = {"u32": "uint32_t", "u64": "uint64_t", "i32": "int32_t"}
PIECES = ("bytes", "blob", "str", "range")
# Counts that are numbers
NUMBERS = {"three": 3}
MAX_NUMBER = 1024
# What generated functions call their own variables; the second ones only beside a wait list
OWN_NAMES = {"lane", "c", "s", "err"}
WAITS_NAMES = {"nb_waits", "waits", "event", "wanted", "id"}
WIDTH = 100

HEAD = """\
/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 *
 * Made by tools/clgen.py from opencl.idl.
 */

"""


class IdlError(Exception):
    """What is wrong in the description, and where."""


@dataclasses.dataclass
class Item:
    """An argument or a result."""
    type: str
    name: str
    count: str = None  # of an array
    optional: bool = False
    own_count: bool = False  # an array whose count is an argument beside it

    @property
    def object(self):
        return self.type in OBJECTS

    @property
    def kind(self):
        return "CL_KIND_" + self.type.upper()

    @property
    def length(self):
        """The number of items of a vector, as C has it."""
        return str(NUMBERS.get(self.count, self.count))


@dataclasses.dataclass
class Call:
    number: int
    name: str
    host: bool
    api: bool
    ins: list = dataclasses.field(default_factory=list)
    outs: list = dataclasses.field(default_factory=list)

    @property
    def enum(self):
        return "APIR_CL_CALL_" + snake(self.name)

    @property
    def waits(self):
        return any(i.type == "waits" for i in self.ins)


def snake(name):
    """EnqueueNDRangeKernel -> ENQUEUE_ND_RANGE_KERNEL"""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


# Reading ------------------------------------------------------------------------------------------------------------

LINE_CALL = re.compile(r"call (\d+) ([A-Z]\w*)((?: (?:host|api))*)$")
LINE_ITEM = re.compile(r"\t(-> )?(\w+) ([a-z]\w*)(?:\[(\w+)\])?(\?)?$")


def parse_item(call, out, kind, name, count, optional):
    """One argument or result. Returns what is wrong with it, or None."""
    item = Item(kind, name, count, bool(optional))
    if kind not in OBJECTS and kind not in SCALARS and kind not in PIECES:
        return f"no type {kind}"
    if any(name in (i.name, i.count) for i in call.ins + call.outs):
        return f"a second {name}"
    if out:
        if count or optional or kind not in ("bytes", *OBJECTS, *SCALARS):
            return "no such result"
        if any(i.type == "bytes" for i in call.outs):
            return "bytes are the last result"
        call.outs.append(item)
        return None
    if call.outs:
        return "arguments come before results"
    if count:
        if kind != "u64" and not item.object:
            return f"no arrays of {kind}"
        known = count in NUMBERS or any(i.name == count and i.type == "u32" for i in call.ins)
        if known and item.object:
            return "arrays of objects have a count of their own"
        if not known and any(count in (i.name, i.count) for i in call.ins):
            return f"{count} is no count of this array"
        item.own_count = not known
    elif optional and kind in SCALARS:
        return "a number is not optional"
    call.ins.append(item)
    return None


def parse(path):
    """The calls of a description, by number."""
    calls, call = {}, None
    with open(path, encoding="utf-8") as idl:
        for nb, line in enumerate(idl, 1):
            line = line.split("#")[0].rstrip()
            if not line:
                continue
            wrong = None
            if m := LINE_CALL.match(line):
                call = Call(int(m[1]), m[2], "host" in m[3].split(), "api" in m[3].split())
                if not 0 < call.number < MAX_NUMBER or call.number in calls:
                    wrong = f"number {call.number} is taken or out of range"
                elif any(c.name == call.name for c in calls.values()):
                    wrong = f"a second {call.name}"
                calls[call.number] = call
            elif line == "\twaits" and call and not call.waits and not call.outs:
                call.ins.append(Item("waits", "waits"))
            elif (m := LINE_ITEM.match(line)) and call:
                wrong = parse_item(call, *m.groups())
            else:
                wrong = "not understood"
            if wrong:
                raise IdlError(f"{path}:{nb}: {wrong}")
    for call in calls.values():
        check_call(path, call)
    return [calls[nb] for nb in sorted(calls)]


def check_call(path, call):
    """What can be seen only of a whole call."""
    objects = [i for i in call.outs if i.object]
    names = {name for i in call.ins + call.outs if i.type != "waits" for name in (i.name, i.count)}
    if clash := names & (OWN_NAMES | (WAITS_NAMES if call.waits else set())):
        raise IdlError(f"{path}: {call.name}: {clash.pop()} is a name of ours")
    if call.host and (any(i.type == "bytes" for i in call.outs) or (objects and len(call.outs) > 1)):
        raise IdlError(f"{path}: {call.name}: no clNAME() has such results")
    if call.host and any(i.type == "range" for i in call.ins):
        raise IdlError(f"{path}: {call.name}: no clNAME() says how long its memory is")
    if call.api and call.outs:
        raise IdlError(f"{path}: {call.name}: a public function with results is written by hand")
    if call.api and not (call.ins and call.ins[0].object and not call.ins[0].count):
        raise IdlError(f"{path}: {call.name}: a public function begins with an object")


# Writing ------------------------------------------------------------------------------------------------------------

def wrap(head, items, tail):
    """A list between head and tail, in lines of at most WIDTH, aligned behind head."""
    lines, line = [], head
    indent = len(head.expandtabs(8))
    for n, item in enumerate(items):
        last = n == len(items) - 1
        item += tail if last else ","
        space = "" if line.endswith("(") or not line.strip() else " "
        if len(line.expandtabs(8)) + len(space) + len(item) > WIDTH and n > 0:
            lines.append(line)
            line, space = "\t" * (indent // 8) + " " * (indent % 8), ""
        line += space + item
    return "\n".join(lines + [line]) + ("" if items else tail)


def prototype(result, name, params, tail):
    """A declaration (tail ";") or the head of a definition (tail "")."""
    if tail:
        return wrap(f"{result} {name}(", params or ["void"], ")" + tail)
    return result + "\n" + wrap(name + "(", params or ["void"], ")")


def calls_h(calls):
    out = [HEAD + "#ifndef APIR_CL_CALLS_H\n#define APIR_CL_CALLS_H\n",
           "/** @file The calls, by the numbers they have on the wire. */\n",
           "#include <stdint.h>\n",
           "enum apir_cl_call {"]
    out += [f"\t{c.enum} = {c.number}," for c in calls]
    out += ["};\n",
            "/** For logs; never NULL. */",
            "static inline const char *",
            "apir_cl_call_name(uint32_t call)",
            "{",
            "\tswitch (call) {"]
    for c in calls:
        out += [f"\tcase {c.enum}:", f"\t\treturn \"{c.name}\";"]
    out += ["\tdefault:", "\t\treturn \"unknown\";", "\t}", "}\n", "#endif /* APIR_CL_CALLS_H */"]
    return out


# Guest: rpc_NAME() --------------------------------------------------------------------------------------------------

def rpc_params(call):
    params = []
    for i in call.ins:
        if i.type == "waits":
            params += ["cl_uint nb_waits", "const cl_event *waits", "uint64_t *event"]
        elif i.count:
            params += [f"size_t {i.count}"] if i.own_count else []
            params += [f"const uint64_t *{i.name}"]
        elif i.type in ("bytes", "blob"):
            params += [f"const void *{i.name}", f"size_t {i.name}_len"]
        elif i.type == "str":
            params += [f"const char *{i.name}"]
        elif i.type == "range":
            params += [f"uint64_t {i.name}", f"uint64_t {i.name}_len"]
        else:
            params += [f"{SCALARS.get(i.type, 'uint64_t')} {i.name}"]
    for o in call.outs:
        if o.type == "bytes":
            params += [f"void *{o.name}", f"size_t {o.name}_room", f"size_t *{o.name}_len"]
        else:
            params += [f"{SCALARS.get(o.type, 'uint64_t')} *{o.name}"]
    return params


def rpc_put(i):
    if i.type == "waits":
        return ["cl_put_waits(&lane->args, nb_waits, waits, event != NULL);"]
    if i.count:
        return [f"cl_put_u64s(&lane->args, {i.length}, {i.name});"]
    if i.type in ("bytes", "blob"):
        return [f"cl_put_inline(&lane->args, {i.name}, {i.name}_len);"]
    if i.type == "str":
        return [f"cl_put_str(&lane->args, {i.name});"]
    if i.type == "range":
        return [f"cl_put(&lane->args, {i.name});", f"cl_put(&lane->args, {i.name}_len);"]
    if i.type == "i32":
        return [f"cl_put(&lane->args, (uint64_t)(int64_t){i.name});"]
    return [f"cl_put(&lane->args, {i.name});"]


def rpc_outputs(call):
    """Names of what the function gives through pointers."""
    names = ["event"] if call.waits else []
    return names + [o.name + ("_len" if o.type == "bytes" else "") for o in call.outs]


def rpc_function(call):
    out = [prototype("cl_int", "rpc_" + call.name, rpc_params(call), ""),
           "{",
           f"\tstruct cl_lane *lane = cl_lane_begin({call.enum});",
           "\tcl_int err;\n"]
    for name in rpc_outputs(call):
        out += [f"\tif ({name} != NULL)", f"\t\t*{name} = 0;"]
    out += ["\tif (lane == NULL)", "\t\treturn CL_DEVICE_NOT_AVAILABLE;"]
    for i in call.ins:
        out += ["\t" + line for line in rpc_put(i)]
    for o in call.outs:
        if o.type == "bytes":
            out += [f"\tcl_put(&lane->args, cl_inline_room({o.name}, {o.name}_room));"]
    out += ["\terr = cl_lane_call(lane);"]
    if call.waits:
        out += ["\tcl_res_u64(lane, event);"]
    for o in call.outs:
        if o.type == "bytes":
            out += [f"\terr = cl_res_bytes(lane, err, {o.name}, {o.name}_room, {o.name}_len);"]
        else:
            out += [f"\tcl_res_{'u64' if o.object else o.type}(lane, {o.name});"]
    return out + ["\treturn cl_rpc_end(lane, err);", "}\n"]


def rpc_h(calls):
    out = [HEAD + "#ifndef APIR_CL_RPC_H\n#define APIR_CL_RPC_H\n",
           "/**\n * @file\n"
           " * The calls to the worker. Objects are named by their ids, 0 is NULL. A result that is not wanted is NULL; those of a call\n"
           " * that failed are 0, unless it gives some all the same. Of bytes, _room is how many there is room for, and _len\n"
           " * becomes their size; none are copied if they are more than that.\n */\n",
           "#include <stddef.h>\n#include <stdint.h>\n\n#include <CL/cl.h>\n"]
    out += [prototype("cl_int", "rpc_" + c.name, rpc_params(c), ";") for c in calls]
    return out + ["\n#endif /* APIR_CL_RPC_H */"]


def rpc_c(calls):
    out = [HEAD + '#include "cl_rpc.h"\n\n#include "cl_calls.h"\n#include "cl_rpc_items.h"\n']
    for c in calls:
        out += rpc_function(c)
    return out


# Guest: public functions --------------------------------------------------------------------------------------------

def api_params(call):
    params = []
    for i in call.ins:
        if i.type == "waits":
            params += ["cl_uint nb_waits", "const cl_event *waits", "cl_event *event"]
        elif i.count:
            params += [f"cl_uint {i.count}"] if i.own_count else []
            params += [f"const {OBJECTS.get(i.type, 'uint64_t')} *{i.name}"]
        elif i.object:
            params += [f"{OBJECTS[i.type]} {i.name}"]
        elif i.type == "bytes":
            params += [f"const void *{i.name}", f"size_t {i.name}_len"]
        elif i.type == "blob":
            params += [f"size_t {i.name}_len", f"const void *{i.name}"]
        else:
            params += [f"{SCALARS[i.type]} {i.name}"]
    return params


def api_checks(call):
    """In the order of the parameters; ids of arrays last, as they have to be given back."""
    out = []
    for i in call.ins:
        if i.count:
            out += [f"\tif ({i.count} == 0 || {i.name} == NULL)", "\t\treturn CL_INVALID_VALUE;"]
        elif i.object:
            out += [f"\tif (!cl_is({i.name}, {i.kind}))", f"\t\treturn cl_invalid({i.kind});"]
        elif i.type in ("bytes", "blob"):
            out += [f"\tif ({i.name} == NULL || {i.name}_len == 0)", "\t\treturn CL_INVALID_VALUE;"]
    return out


def api_args(call):
    args = []
    for i in call.ins:
        if i.type == "waits":
            args += ["nb_waits", "waits", "event != NULL ? &id : NULL"]
        elif i.count:
            args += [i.count, i.name + "_ids"]
        elif i.object:
            args += [f"cl_id({i.name})"]
        elif i.type in ("bytes", "blob"):
            args += [i.name, i.name + "_len"]
        else:
            args += [i.name]
    return args


def api_function(call):
    arrays = [i for i in call.ins if i.count]
    queue = call.ins[0].name
    out = [prototype("CL_API_ENTRY cl_int CL_API_CALL", "cl" + call.name, api_params(call), ""), "{"]
    for i in arrays:
        out += [f"\tuint64_t {i.name}_few[CL_FEW_IDS], *{i.name}_ids;"]
    out += ["\tuint64_t id = 0;"] if call.waits else []
    out += ["\tcl_int err;\n"] if arrays or call.waits else []
    out += api_checks(call)
    for i in arrays:
        out += [f"\t{i.name}_ids = cl_ids_begin({i.name}_few, {i.count}, {i.name}, {i.kind}, &err);",
                f"\tif ({i.name}_ids == NULL)", "\t\treturn err;"]
    call_line = ("\terr = " if arrays or call.waits else "\treturn ") + f"rpc_{call.name}("
    if call.waits:
        out += [f"\terr = cl_waits_check({queue}->ctx, nb_waits, waits);", "\tif (err == CL_SUCCESS)"]
        call_line = "\t" + call_line
    out += [wrap(call_line, api_args(call), ");")]
    out += [f"\tcl_ids_end({i.name}_few, {i.name}_ids);" for i in arrays]
    if call.waits:
        command = "CL_COMMAND_" + snake(re.sub("^Enqueue|WithWaitList$", "", call.name))
        out += [f"\treturn api_event(err, {queue}, {command}, id, event);"]
    elif arrays:
        out += ["\treturn err;"]
    return out + ["}\n"]


API_EVENT = """\
/* The event of a command that has been enqueued, if the program wants it. */
static cl_int
api_event(cl_int err, cl_command_queue queue, cl_command_type type, uint64_t id, cl_event *event)
{
	if (err != CL_SUCCESS || event == NULL)
		return err;
	*event = cl_event_new(queue, type, id, NULL);
	return *event == NULL ? CL_OUT_OF_HOST_MEMORY : CL_SUCCESS;
}
"""


def api_c(calls):
    out = [HEAD + '#include "cl_rpc.h"\n#include "cl_rpc_items.h"\n', API_EVENT]
    for c in calls:
        out += api_function(c) if c.api else []
    return out


# Worker -------------------------------------------------------------------------------------------------------------

def srv_params(call):
    params = ["struct srv *s"]
    for i in call.ins:
        if i.type == "waits":
            params += ["cl_uint nb_waits", "const cl_event *waits", "cl_event *event"]
        elif i.count:
            params += [f"size_t {i.count}"] if i.own_count else []
            params += [f"const {OBJECTS.get(i.type, 'uint64_t')} *{i.name}"]
        elif i.object:
            params += [f"{OBJECTS[i.type]} {i.name}"]
        elif i.type in ("bytes", "blob"):
            params += [f"const void *{i.name}", f"size_t {i.name}_len"]
        elif i.type == "str":
            params += [f"const char *{i.name}"]
        elif i.type == "range":
            params += [f"void *{i.name}", f"size_t {i.name}_len"]
        else:
            params += [f"{SCALARS[i.type]} {i.name}"]
    for o in call.outs:
        if o.type == "bytes":
            params += [f"struct srv_out *{o.name}"]
        else:
            params += [f"{OBJECTS.get(o.type) or SCALARS[o.type]} *{o.name}"]
    return params


def take(i):
    """Declarations that take an argument from the request."""
    optional = "true" if i.optional else "false"
    if i.type == "waits":
        return ["cl_uint nb_waits;", "bool wanted;", "const cl_event *waits = in_waits(c, &nb_waits, &wanted);",
                "cl_event event = NULL;"]
    if i.count and not i.own_count:
        return [f"const uint64_t *{i.name} = in_vector(c, {i.length}, {optional});"]
    if i.count and i.object:
        return [f"size_t {i.count};",
                f"const {OBJECTS[i.type]} *{i.name} = in_objects(c, {i.kind}, &{i.count});"]
    if i.count:
        return [f"size_t {i.count};", f"const uint64_t *{i.name} = in_u64s(c, &{i.count});"]
    if i.object:
        return [f"{OBJECTS[i.type]} {i.name} = in_object(c, {i.kind}, {optional});"]
    if i.type in ("bytes", "blob"):
        return [f"size_t {i.name}_len;", f"const void *{i.name} = in_bytes(c, &{i.name}_len);"]
    if i.type == "str":
        return [f"const char *{i.name} = in_str(c, {optional});"]
    if i.type == "range":
        return [f"size_t {i.name}_len;", f"void *{i.name} = in_range(c, &{i.name}_len);"]
    get = {"u32": "cl_get_u32", "i32": "cl_get_i32", "u64": "cl_get"}[i.type]
    return [f"const {SCALARS[i.type]} {i.name} = {get}(&c->in);"]


def srv_args(call):
    """Arguments of the host's function, or of ours."""
    args = [] if call.host else ["c->s"]
    for i in call.ins:
        if i.type == "waits":
            args += ["nb_waits", "waits", "wanted ? &event : NULL"]
        elif i.own_count:
            args += [f"(cl_uint){i.count}" if call.host else i.count, i.name]
        elif i.type == "blob" and call.host:
            args += [i.name + "_len", i.name]
        elif i.type in ("bytes", "blob", "range"):
            args += [i.name, i.name + "_len"]
        else:
            args += [i.name]
    return args + ["&" + o.name for o in call.outs]


def put(o):
    """Statements that put a result."""
    if o.object:
        return [f"err = out_object(c, err, {o.kind}, {o.name});"]
    if o.type == "bytes":
        return [f"out_bytes(c, &{o.name});"]
    if o.type == "i32":
        return [f"cl_put(&c->out, (uint64_t)(int64_t){o.name});"]
    return [f"cl_put(&c->out, {o.name});"]


def handler(call):
    before = len([o for o in call.outs if o.type != "bytes"]) + call.waits
    piece = next((o for o in call.outs if o.type == "bytes"), None)
    creates = call.host and any(o.object for o in call.outs)
    out = ["static cl_int", f"on_{call.name}(struct srv_call *c)", "{"]
    for i in call.ins:
        out += ["\t" + line for line in take(i)]
    for o in call.outs:
        if o.type == "bytes":
            out += [f"\tconst uint64_t {o.name}_room = cl_get(&c->in);", f"\tstruct srv_out {o.name};"]
        else:
            zero = "NULL" if o.object else "0"
            out += [f"\t{OBJECTS.get(o.type) or SCALARS[o.type]} {o.name} = {zero};"]
    out += ["\tcl_int err;\n",
            f"\tif (!in_done(c, {(before + 2 * bool(piece)) * 8}))",
            "\t\treturn in_error(c);"]
    if piece:
        out += [f"\tout_begin(c, &{piece.name}, {before}, {piece.name}_room);"]
    if creates:
        out += [wrap(f"\t{call.outs[0].name} = cl{call.name}(", srv_args(call)[:-1] + ["&err"], ");")]
    else:
        out += [wrap(f"\terr = {'cl' if call.host else 'srv_'}{call.name}(", srv_args(call), ");")]
    if call.waits:
        out += ["\terr = out_object(c, err, CL_KIND_EVENT, event);"]
    for o in call.outs:
        out += ["\t" + line for line in put(o)]
    return out + ["\treturn err;", "}\n"]


def dispatch_h(calls):
    out = [HEAD + "#ifndef APIRD_OPENCL_CL_DISPATCH_H\n#define APIRD_OPENCL_CL_DISPATCH_H\n",
           "/** @file The calls that are written by hand: their arguments are taken and checked. */\n",
           "#include <CL/cl.h>\n",
           '#include "srv.h"\n']
    out += [prototype("cl_int", "srv_" + c.name, srv_params(c), ";") for c in calls if not c.host]
    return out + ["\n#endif /* APIRD_OPENCL_CL_DISPATCH_H */"]


def dispatch_c(calls):
    out = [HEAD + '#include "cl_dispatch.h"\n\n#include "cl_calls.h"\n#include "dispatch.h"\n']
    for c in calls:
        out += handler(c)
    out += ["const srv_handler cl_handlers[] = {"]
    out += [f"\t[{c.enum}] = on_{c.name}," for c in calls]
    return out + ["};", "const uint32_t cl_nb_handlers = sizeof(cl_handlers) / sizeof(cl_handlers[0]);"]


FILES = {"cl_calls.h": calls_h, "cl_rpc.h": rpc_h, "cl_rpc.c": rpc_c, "cl_api.c": api_c,
         "cl_dispatch.h": dispatch_h, "cl_dispatch.c": dispatch_c}


def main(argv):
    if len(argv) < 3 or any(os.path.basename(f) not in FILES for f in argv[2:]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        calls = parse(argv[1])
    except (IdlError, OSError) as e:
        print(f"clgen.py: {e}", file=sys.stderr)
        return 1
    for path in argv[2:]:
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(FILES[os.path.basename(path)](calls)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
