package haproxy

import (
	"slices"
	"strings"
)

// Printer writes the files of one configuration after the other. What shares memory with the configuration before
// is not written again, and a file that is the same is the same string in memory. The zero value is ready, for one
// goroutine at a time.
type Printer struct {
	last Config
	// text is haproxy.cfg of last: head as long as the sections' text, then that of each backend.
	text, head string
	parts      []string
	maps       map[string]printedMap
}

type printedMap struct {
	entries []Entry
	content string
}

// Files gives every file without a secret; see Config.Files.
func (p *Printer) Files(c Config) []File {
	var list []File
	for _, cert := range c.Certs {
		if cert.Authority {
			list = append(list, File{cert.Path, cert.Chain})
		}
	}
	for _, l := range c.CrtLists {
		list = append(list, File{l.Path, l.Text()})
	}
	list = append(list, File{ConfigFile, p.config(c)})
	printed := make(map[string]printedMap, len(c.Maps))
	for _, m := range c.Maps {
		old, known := p.maps[m.Path]
		if !known || !shared(old.entries, m.Entries) {
			old = printedMap{m.Entries, m.Text()}
		}
		printed[m.Path] = old
		list = append(list, File{m.Path, old.content})
	}
	p.maps = printed
	return list
}

// config is haproxy.cfg.
func (p *Printer) config(c Config) string {
	fresh := p.text == ""
	head := p.head
	if fresh || !shared(p.last.Sections, c.Sections) {
		var w textWriter
		w.sections(c.Sections)
		head = w.b.String()
	}
	same := !fresh && head == p.head && len(c.Backends) == len(p.parts)
	parts := make([]string, len(c.Backends))
	size, old := len(head), 0
	for i := range c.Backends {
		b := &c.Backends[i]
		for old < len(p.parts) && p.last.Backends[old].Name < b.Name {
			old++
		}
		if old < len(p.parts) && samePrint(&p.last.Backends[old], b) {
			parts[i] = p.parts[old]
			same = same && old == i
		} else {
			parts[i] = printBackend(b)
			same = same && parts[i] == p.parts[i]
		}
		size += len(parts[i])
	}
	p.last = Config{Sections: c.Sections, Backends: c.Backends}
	if same {
		return p.text
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString(head)
	for _, part := range parts {
		b.WriteString(part)
	}
	p.text = b.String()
	// What is kept are parts of the new text, so that the old one can go.
	at := len(head)
	p.head = p.text[:at]
	for i, part := range parts {
		parts[i] = p.text[at : at+len(part)]
		at += len(part)
	}
	p.parts = parts
	return p.text
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
