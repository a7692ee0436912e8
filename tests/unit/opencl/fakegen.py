#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
"""fakegen.py CLGEN IDL FILE...: for each call of opencl.idl, what writes down its arguments, and what makes it.

fake_calls.c is the worker's side: every srv_NAME() and host's clNAME(). rpc_calls.c is the guest's side: each call is made with
arguments in all places, and again with as few as there can be, and both sides' notes are compared.
"""

import importlib.util
import os
import sys


def load(path):
    spec = importlib.util.spec_from_file_location("clgen", path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def host_params(clgen, call):
    """As the host's header has them."""
    params = []
    for i in call.ins:
        params += [f"const char *{i.name}"] if i.type == "str" else clgen.api_params(clgen.Call(1, "", True, True, [i]))
    for o in call.outs:
        params += [] if o.object else [f"uint64_t *{o.name}"]
    return params


def note(i):
    """What the worker's side writes down of an argument."""
    if i.type == "waits":
        return "fake_waits(nb_waits, waits, event);"
    if i.count and i.object:
        return f"fake_objects({i.kind}, {i.count}, {i.name});"
    if i.count:
        return f"note_u64s(&fake.seen, {i.length}, {i.name});"
    if i.object:
        return f"fake_object({i.kind}, {i.name});"
    if i.type in ("bytes", "blob"):
        return f"note_bytes(&fake.seen, {i.name}, {i.name}_len);"
    if i.type == "str":
        return f"note_str(&fake.seen, {i.name});"
    if i.type == "range":
        return f"fake_range({i.name}, {i.name}_len);"
    return f"note_u64(&fake.seen, (uint64_t){i.name});"


def give(n, o):
    if o.object:
        return f"*{o.name} = fake_new({o.kind});"
    if o.type == "bytes":
        return f"srv_out_set({o.name}, fake_pattern, FAKE_OUT_LEN);"
    return f"*{o.name} = {scalar(o, n)};"


def scalar(i, n):
    """The nth value of a call."""
    return {"u32": f"{0x1000 + n}", "u64": f"UINT64_C({0x1122334400000000 + n})", "i32": f"{-1 - n}"}[i.type]


def fakes(clgen, calls):
    out = [clgen.HEAD + '#include "fake_worker.h"\n#include "cl_dispatch.h"\n']
    for call in calls:
        makes = call.host and call.outs and call.outs[0].object
        if call.host:
            params = host_params(clgen, call) + (["cl_int *errcode_ret"] if makes else [])
            result = clgen.OBJECTS[call.outs[0].type] if makes else "cl_int"
            out += [clgen.prototype(f"CL_API_ENTRY {result} CL_API_CALL", "cl" + call.name, params, "")]
        else:
            out += [clgen.prototype("cl_int", "srv_" + call.name, clgen.srv_params(call), "")]
        out += ["{"] + ([] if call.host else ["\t(void)s;"])
        out += [f"\tfake_call({call.number});"] + ["\t" + note(i) for i in call.ins]
        if makes:
            out += ["\t*errcode_ret = fake.err;",
                    f"\treturn fake.err == CL_SUCCESS ? fake_new({call.outs[0].kind}) : NULL;"]
        else:
            out += ["\t" + give(n, o) for n, o in enumerate(call.outs)] + ["\treturn fake.err;"]
        out += ["}\n"]
    return out


def argument(call, i, n, full):
    """Of rpc_NAME(): what is given, and what should be written down."""
    given = full or not i.optional
    if i.type == "waits":
        return (["2", "rpc_waits", "&event"], "expect_waits(2, true);") if full else \
            (["0", "NULL", "NULL"], "expect_waits(0, false);")
    if i.count and not i.own_count:
        return [f"rpc_u64s" if given else "NULL"], f"note_u64s(&want, 3, {'rpc_u64s' if given else 'NULL'});"
    if i.count and i.object:
        nb = 3 if full else 0
        return [str(nb), f"rpc_ids[{i.kind}]" if full else "NULL"], f"expect_objects({i.kind}, {nb});"
    if i.count:
        x = "rpc_u64s" if full else "NULL"
        return ["4" if full else "0", x], f"note_u64s(&want, 4, {x});"
    if i.object:
        value = f"FAKE_ID({i.kind}, 1)" if given else "0"
        return [value], f"note_u64(&want, {value});"
    if i.type in ("bytes", "blob"):
        value = ["fake_pattern", str(13 + n)] if full else ["NULL", "0"]
        return value, f"note_bytes(&want, {', '.join(value)});"
    if i.type == "str":
        value = '"some text"' if full else "NULL"
        return [value], f"note_str(&want, {value if full or i.optional else chr(34) * 2});"
    if i.type == "range":
        value = [f"FAKE_ARENA + {64 * n}", str(48 + n)] if full else ["0", "0"]
        return value, f"note_u64(&want, {value[0]});\n\tnote_u64(&want, {value[1]});"
    value = "3" if any(j.count == i.name for j in call.ins) else scalar(i, n)
    return [value], f"note_u64(&want, (uint64_t){value});"


def result(n, o, full):
    """Of rpc_NAME(): declaration, what is given, what is checked."""
    if not full:
        return None, ["NULL"] + (["0", "NULL"] if o.type == "bytes" else []), None
    if o.type == "bytes":
        return (f"uint8_t {o.name}[FAKE_OUT_LEN + 1];\n\tsize_t {o.name}_len;",
                [o.name, f"sizeof({o.name})", f"&{o.name}_len"],
                f"assert_int_equal({o.name}_len, FAKE_OUT_LEN);\n"
                f"\tassert_memory_equal({o.name}, fake_pattern, FAKE_OUT_LEN);")
    value = f"FAKE_ID({o.kind}, FAKE_NEW)" if o.object else scalar(o, n)
    kind = "uint64_t" if o.object else {"u32": "uint32_t", "u64": "uint64_t", "i32": "int32_t"}[o.type]
    return f"{kind} {o.name};", ["&" + o.name], f"assert_true({o.name} == {value});"


def make(clgen, call, full):
    ins = [argument(call, i, n, full) for n, i in enumerate(call.ins)]
    outs = [result(n, o, full) for n, o in enumerate(call.outs)]
    out = ["static void", f"{'full' if full else 'bare'}_{call.name}(void)", "{"]
    out += ["\tuint64_t event;"] if full and call.waits else []
    out += ["\t" + o[0] for o in outs if o[0]]
    out += ["\tstruct note want = {0};\n", f"\tnote_u64(&want, {call.number});"]
    out += ["\t" + i[1] for i in ins]
    out += [clgen.wrap(f"\trpc_check(rpc_{call.name}(", [a for i in ins + [o[1:] for o in outs] for a in i[0]], "), &want);")]
    out += ["\tassert_true(event == FAKE_ID(CL_KIND_EVENT, FAKE_NEW));"] if full and call.waits else []
    out += ["\t" + o[2] for o in outs if o[2]]
    return out + ["}\n"]


def rpcs(clgen, calls):
    out = [clgen.HEAD + '#include "rpc_calls.h"\n#include "cl_rpc.h"\n']
    for call in calls:
        out += make(clgen, call, True) + make(clgen, call, False)
    out += ["const struct rpc_call rpc_calls[] = {"]
    out += [f'\t{{"{c.name}", full_{c.name}, bare_{c.name}}},' for c in calls]
    return out + ["};", "const size_t rpc_nb_calls = sizeof(rpc_calls) / sizeof(rpc_calls[0]);"]


def main(argv):
    clgen = load(argv[1])
    calls = clgen.parse(argv[2])
    for path in argv[3:]:
        lines = {"fake_calls.c": fakes, "rpc_calls.c": rpcs}[os.path.basename(path)](clgen, calls)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")


main(sys.argv)
