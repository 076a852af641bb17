"""The table of a bench as a chart: a group of bars for each row, the longest is the group's largest."""
from html import escape

from rows import figure

COLOURS = ("#1b6f8a", "#d08c3f", "#a5a5a5", "#7d6b91")
LEFT, WIDTH, BAR, GAP = 470, 420, 11, 9


def chart(results, title):
    """results: {server: [row]}, as for rows.table(); SVG."""
    servers = list(results)
    rows = {name: {r["what"]: r for r in of} for name, of in results.items()}
    shapes = [text(8, 20, title, "start", 14)]
    for at, name in enumerate(servers):
        shapes += [bar(LEFT + at * 110, 10, 11, COLOURS[at % len(COLOURS)]),
                   text(LEFT + at * 110 + 16, 20, name, "start", 11)]
    top = 40
    for what in dict.fromkeys(what for of in rows.values() for what in of):
        found = [rows[name].get(what) for name in servers]
        largest = max((r["value"] for r in found if r), default=0) or 1
        shapes.append(text(LEFT - 8, top + BAR * len(servers) / 2 + 4, what, "end", 11))
        for at, r in enumerate(found):
            if r:
                length = max(0, r["value"]) / largest * WIDTH
                y = top + at * BAR
                shapes += [bar(LEFT, y, length, COLOURS[at % len(COLOURS)]),
                           text(LEFT + length + 5, y + BAR - 2,
                                "%s %s" % (figure(r["value"]), r["unit"]), "start", 9)]
        top += BAR * len(servers) + GAP
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'font-family="sans-serif"><rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n'
            % (LEFT + WIDTH + 130, top + 10, "\n".join(shapes)))


def bar(x, y, length, colour):
    return '<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>' % (
        x, y, length, BAR - 2, colour)


def text(x, y, words, anchor, size):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d">%s</text>' % (
        x, y, anchor, size, escape(words.strip()))
