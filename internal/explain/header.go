package explain

import (
	"strings"

	"weir"
)

// headers are those of a request, in their order.
type headers []Field

// received gives the headers as rules see them: with what is known of the client.
func (w *walk) received() headers {
	proto := "http"
	if w.mode == weir.PortHTTPS {
		proto = "https"
	}
	h := append(headers{{"Host", w.q.Host}}, w.q.Header...)
	if w.trusted {
		return append(h, Field{"X-Forwarded-For", w.q.From.String()})
	}
	for _, f := range []Field{{"X-Forwarded-For", w.q.From.String()}, {"X-Forwarded-Proto", proto}} {
		h = append(h.without(f.Name), f)
	}
	return h.without("Forwarded")
}

func (h headers) without(name string) headers {
	var out headers
	for _, f := range h {
		if !strings.EqualFold(f.Name, name) {
			out = append(out, f)
		}
	}
	return out
}

// values gives the lines of a header.
func (h headers) values(name string) []string {
	var list []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			list = append(list, strings.Trim(f.Value, " \t"))
		}
	}
	return list
}

// last gives the last line of a header as a whole.
func (h headers) last(name string) string {
	if list := h.values(name); len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// cookie gives the last cookie of a name.
func (h headers) cookie(name string) (value string, found bool) {
	for _, line := range h.values("Cookie") {
		// HAProxy looks at no rest of a line that has no room for a value.
		for len(line) >= len(name)+len("=?") {
			one, rest := cutCookie(line)
			n, v, is := strings.Cut(one, "=")
			if is && strings.Trim(n, " \t") == name {
				value, found = strings.Trim(v, " \t"), true
			}
			line = rest
		}
	}
	return value, found
}

// cutCookie cuts off the first cookie of a line: up to a semicolon or comma that is not in quotes.
func cutCookie(line string) (one, rest string) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ';' || c == ','):
			return line[:i], line[i+1:]
		}
	}
	return line, ""
}

// parameter gives the first parameter of a name, decoded, as HAProxy reads it: names as they are written, parameters
// apart by &, ; and ?.
func parameter(query, name string) string {
	for one := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' || r == '?' }) {
		if n, v, ok := strings.Cut(one, "="); ok && n == name {
			return decoded(v)
		}
	}
	return ""
}

// decoded leaves what can't be decoded as it is; line ends and a byte 0 are underscores.
func decoded(v string) string {
	v = strings.ReplaceAll(v, "%00", "_")
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c != '%':
			b.WriteByte(c)
		case i+2 >= len(v) || badEscape(v[i:i+3]):
			return v
		default:
			b.WriteByte(unhex(v[i+1])<<4 | unhex(v[i+2]))
			i += 2
		}
	}
	return strings.NewReplacer("\r", "_", "\n", "_").Replace(b.String())
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// forwardedFor is the address that limits go by: whom a trusted proxy names last, else the client's.
func (w *walk) forwardedFor() string {
	if !w.trusted || !w.http() {
		return w.q.From.String()
	}
	var all []string
	for _, line := range w.header.values("X-Forwarded-For") {
		for one := range strings.SplitSeq(line, ",") {
			all = append(all, strings.Trim(one, " \t"))
		}
	}
	if len(all) > 1 {
		return all[len(all)-2]
	}
	return w.q.From.String()
}
