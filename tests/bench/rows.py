"""One figure of a measurement, and the table of them."""
import statistics


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def row(what, value, unit, *, values=None, cpu=None, client=None, n=None, by=None, **more):
    """cpu and client: CPU seconds of the server and of the load per 1,000 operations, which is
    milliseconds per operation. values: what value is the median of. by: cpu by process."""
    out = {"what": what, "value": round(value, 3), "unit": unit}
    if values is not None and len(values) > 1:
        out["low"], out["high"] = round(min(values), 3), round(max(values), 3)
    for key, figure in (("cpu", cpu), ("client_cpu", client)):
        if figure is not None:
            out[key] = round(figure, 3)
    if n is not None:
        out["n"] = n
    if by:
        out["cpu_by_process"] = by
    out.update(more)
    return out


def operation(what, seconds, meter, **more):
    """A row of one operation that took each of seconds; meter ran over all of them."""
    n = len(seconds)
    return row(what, statistics.median(seconds) * 1000, "ms", values=[s * 1000 for s in seconds],
               cpu=meter.total() / n * 1000, client=meter.client / n * 1000, n=n,
               by=meter.per(n), **more)


def figure(value):
    if value is None:
        return ""
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return "{:,.{}f}".format(value, digits)


def ratio(found):
    """The first one's value in terms of the best of the others, None if there is none. Rates are
    better when they are high, all else when it is low."""
    others = [r["value"] for r in found[1:] if r.get("value")]
    if not others or found[0].get("value") is None:
        return None
    best = max(others) if found[0]["unit"].endswith("/s") else min(others)
    return found[0]["value"] / best


def table(results):
    """results: {server: [row]}. One line for each row, a group of columns for each server; with
    several the last column is the first one's value in terms of the best of the others."""
    servers = list(results)
    head = ["", "unit"]
    for name in servers:
        head += [name, "low", "high", "CPU", "load CPU", "n"]
    if len(servers) > 1:
        head.append("ratio")
    lines = [head]
    for what in dict.fromkeys(r["what"] for rows in results.values() for r in rows):
        found = [next((r for r in results[name] if r["what"] == what), {}) for name in servers]
        line = [what, next(r["unit"] for r in found if r)]
        for r in found:
            line += [figure(r.get(key)) for key in ("value", "low", "high", "cpu", "client_cpu")]
            line.append(str(r.get("n", "")))
        if len(servers) > 1:
            line.append(figure(ratio(found)))
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = ["  ".join(cell.ljust(w) if i < 2 else cell.rjust(w)
                      for i, (cell, w) in enumerate(zip(line, widths))).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(text)
