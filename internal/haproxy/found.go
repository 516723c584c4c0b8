package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// FoundConfig is what can be told of a configuration that Weir did not write.
type FoundConfig struct {
	// Frontends are the names of the sections that take connections.
	Frontends []string
	Listeners []Listener
}

// Listener is one place at which a configuration that Weir did not write listens.
type Listener struct {
	// Section is as it stands there, "frontend www"; Line counts from 1.
	Section string
	Line    int
	// Text is the address as it stands there, with variables replaced.
	Text string
	// Addr is the address of a TCP listener, unspecified for all addresses of the machine; the zero value for a
	// socket of another kind, or an address that can't be told from the text.
	Addr netip.AddrPort
	// Both says that an unspecified IPv6 address takes IPv4 as well.
	Both bool
}

// String gives the address, and where it stands.
func (l Listener) String() string { return fmt.Sprintf("%s (%s, line %d)", l.Text, l.Section, l.Line) }

// maxPorts bounds the ports of one range that are looked at one by one.
const maxPorts = 1024

// ReadFound reads a configuration that Weir did not write. It never refuses one: HAProxy runs with it. Lines that
// depend on a condition count as if it held. env are the variables of the HAProxy that reads it.
func ReadFound(text string, env map[string]string) FoundConfig {
	var f FoundConfig
	section := ""
	for i, line := range strings.Split(text, "\n") {
		w := wordsOf(line, env)
		if len(w) == 0 {
			continue
		}
		switch w[0] {
		case "frontend", "listen", "backend", "defaults", "global", "peers", "resolvers", "userlist", "mailers", "program",
			"http-errors", "cache", "fcgi-app", "ring", "log-forward", "crt-store", "traces", "acme", "healthcheck", "log-profile":
			section = strings.Join(w[:min(len(w), 2)], " ")
			if (w[0] == "frontend" || w[0] == "listen") && len(w) > 1 {
				f.Frontends = append(f.Frontends, w[1])
			}
		case "bind", "dgram-bind":
			if len(w) > 1 {
				f.bind(section, i+1, w)
			}
		}
	}
	return f
}

func (f *FoundConfig) bind(section string, line int, words []string) {
	only6, both := slices.Contains(words[2:], "v6only"), slices.Contains(words[2:], "v4v6")
	for text := range strings.SplitSeq(words[1], ",") {
		l := Listener{Section: section, Line: line, Text: text, Both: both && !only6}
		first, last, ok := portsOf(text)
		if !ok || words[0] != "bind" || last-first >= maxPorts {
			f.Listeners = append(f.Listeners, l)
			continue
		}
		host := text[:strings.LastIndexByte(text, ':')]
		addr, ok := addressOf(host)
		if !ok {
			f.Listeners = append(f.Listeners, l)
			continue
		}
		for port := first; port <= last; port++ {
			l.Addr = netip.AddrPortFrom(addr, uint16(port))
			if first != last {
				l.Text = host + ":" + strconv.Itoa(port)
			}
			f.Listeners = append(f.Listeners, l)
		}
	}
}

// portsOf reads the range of ports that an address ends with.
func portsOf(text string) (first, last int, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.ContainsRune(text, '/') {
		return 0, 0, false // a path
	}
	from, to, isRange := strings.Cut(text[i+1:], "-")
	if !isRange {
		to = from
	}
	a, err1 := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	return int(a), int(b), err1 == nil && err2 == nil && 0 < a && a <= b
}

// addressOf reads the part of an address before its port.
func addressOf(host string) (netip.Addr, bool) {
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	family, rest, named := strings.Cut(host, "@")
	if !named {
		family, rest = "", host
	}
	switch family {
	case "", "ipv4", "tcp4", "tcp", "ipv6", "tcp6":
	default:
		return netip.Addr{}, false // quic4, udp, fd, abns …
	}
	switch {
	case (rest == "" || rest == "*") && strings.HasSuffix(family, "6"):
		return any6, true
	case rest == "" || rest == "*":
		return any4, true
	}
	addr, err := netip.ParseAddr(strings.Trim(rest, "[]"))
	return addr.Unmap(), err == nil
}

// wordsOf splits a line as HAProxy does: quotes, backslashes, variables, comments.
func wordsOf(line string, env map[string]string) []string {
	var words []string
	var b strings.Builder
	begun := false
	end := func() {
		if begun {
			words = append(words, b.String())
		}
		b.Reset()
		begun = false
	}
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case quote == 0 && c == '#':
			end()
			return words
		case quote == 0 && (c == ' ' || c == '\t' || c == '\r'):
			end()
		case quote != '\'' && c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
			begun = true
		case quote != '\'' && c == '$':
			value, length := variable(line[i:], env)
			b.WriteString(value)
			begun = true
			i += length - 1
		default:
			b.WriteByte(c)
			begun = true
		}
	}
	end()
	return words
}

// variable gives what «$NAME», «${NAME}» or «${NAME-else}» stands for and how long that is in the text. One that is
// not known stays as it is, so that nobody takes it for nothing.
func variable(text string, env map[string]string) (value string, length int) {
	name, length := "", 1
	if strings.HasPrefix(text, "${") {
		end := strings.IndexByte(text, '}')
		if end < 0 {
			return text, len(text)
		}
		name, length = text[2:end], end+1
	} else {
		for length < len(text) && (text[length] == '_' || text[length] >= '0' && text[length] <= '9' || text[length]|0x20 >= 'a' && text[length]|0x20 <= 'z') {
			length++
		}
		name = text[1:length]
	}
	name, instead, hasElse := strings.Cut(strings.TrimSuffix(name, "[*]"), "-")
	if v, ok := env[name]; ok {
		return v, length
	}
	if hasElse {
		return instead, length
	}
	return text[:length], length
}

// Kept is what becomes of a listener when another configuration takes the place of the one that it is in.
type Kept struct {
	Listener
	// Lost are the addresses at which nobody would answer any more; empty when all are kept. One that can't be told
	// from the text is "": it counts as lost.
	Lost []string
}

// KeepFound says for each listener what would become of it under want. machine are the addresses of the machine,
// which an unspecified address stands for.
func KeepFound(f FoundConfig, want Config, machine []netip.Addr) []Kept {
	var binds []netip.AddrPort
	for _, b := range want.Binds() {
		if b.UDP || b.Namespace != "" {
			continue
		}
		binds = append(binds, netip.AddrPortFrom(b.Addr().Unmap(), b.Port()))
	}
	served := func(addr netip.Addr, port uint16) bool {
		return slices.ContainsFunc(binds, func(b netip.AddrPort) bool {
			return b.Port() == port && (b.Addr() == addr || b.Addr().IsUnspecified() && b.Addr().Is4() == addr.Is4())
		})
	}
	list := make([]Kept, 0, len(f.Listeners))
	for _, l := range f.Listeners {
		k := Kept{Listener: l}
		switch {
		case !l.Addr.IsValid():
			k.Lost = []string{""}
		case !l.Addr.Addr().IsUnspecified():
			if !served(l.Addr.Addr(), l.Addr.Port()) {
				k.Lost = []string{l.Addr.String()}
			}
		default:
			for _, a := range machine {
				if of := a.Unmap(); (of.Is4() == l.Addr.Addr().Is4() || l.Both) && !served(of, l.Addr.Port()) {
					k.Lost = append(k.Lost, netip.AddrPortFrom(of, l.Addr.Port()).String())
				}
			}
		}
		list = append(list, k)
	}
	return list
}
