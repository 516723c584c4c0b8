package haproxy

import "slices"

// Printed is one file of the load balancer's folder in pieces, which together are its content.
type Printed struct {
	Path  string
	Parts []string
}

// Printer writes the files of one configuration after the other. What shares memory with the configuration before
// is not written again: the piece is the same string in memory, and a file of which every piece is has the same list
// of them. The zero value is ready, for one goroutine at a time.
type Printer struct {
	last Config
	// parts are haproxy.cfg of last: what stands before the backends, then each of them.
	parts []string
	maps  map[string]printedMap
}

type printedMap struct {
	entries []Entry
	parts   []string
}

// Files gives every file without a secret; see Config.Files.
func (p *Printer) Files(c Config) []Printed {
	var list []Printed
	for _, cert := range c.Certs {
		if cert.Authority {
			list = append(list, Printed{cert.Path, []string{cert.Chain.Leaf(), cert.Chain.Rest()}})
		}
	}
	for _, l := range c.CrtLists {
		list = append(list, Printed{l.Path, []string{l.Text()}})
	}
	list = append(list, Printed{ConfigFile, p.config(c)})
	printed := make(map[string]printedMap, len(c.Maps))
	for _, m := range c.Maps {
		old, known := p.maps[m.Path]
		if !known || !shared(old.entries, m.Entries) {
			old = printedMap{m.Entries, []string{m.Text()}}
		}
		printed[m.Path] = old
		list = append(list, Printed{m.Path, old.parts})
	}
	p.maps = printed
	return list
}

// config is haproxy.cfg.
func (p *Printer) config(c Config) []string {
	parts := make([]string, 1+len(c.Backends))
	same := len(parts) == len(p.parts)
	if len(p.parts) > 0 && shared(p.last.Sections, c.Sections) {
		parts[0] = p.parts[0]
	} else {
		var w textWriter
		w.sections(c.Sections)
		parts[0] = w.b.String()
		same = same && parts[0] == p.parts[0]
	}
	old := 0
	for i := range c.Backends {
		b := &c.Backends[i]
		for old < len(p.last.Backends) && p.last.Backends[old].Name < b.Name {
			old++
		}
		if old < len(p.last.Backends) && samePrint(&p.last.Backends[old], b) {
			parts[1+i] = p.parts[1+old]
			same = same && old == i
		} else {
			parts[1+i] = printBackend(b)
			same = same && parts[1+i] == p.parts[1+i]
		}
	}
	p.last = Config{Sections: c.Sections, Backends: c.Backends}
	if !same {
		p.parts = parts
	}
	return p.parts
}

// samePrint says, without looking at servers one by one, that two backends are written alike.
func samePrint(a, b *Backend) bool {
	return a.Name == b.Name && a.Profile == b.Profile && slices.Equal(a.Text, b.Text) && shared(a.Servers, b.Servers)
}

func printBackend(b *Backend) string {
	var w textWriter
	w.room(Config{Backends: []Backend{*b}})
	w.backend(b)
	return w.b.String()
}
