package haproxy

import (
	"strings"
)

// File is one file of the load balancer's folder.
type File struct {
	// Path is relative to the folder.
	Path    string
	Content string
}

// Text writes haproxy.cfg. The list holds, for each line from the first, the object that it comes from.
func (c Config) Text() (string, []string) {
	var w textWriter
	w.room(c)
	w.sections(c.Sections)
	for i := range c.Backends {
		w.backend(&c.Backends[i])
	}
	return w.b.String(), w.owners
}

func (w *textWriter) sections(list []Section) {
	w.line("", "# Written by Weir; a change by hand is undone. What is wanted: weir get all")
	for _, s := range list {
		w.line("")
		if s.Name == "" {
			w.line("", s.Kind)
		} else {
			w.line("", s.Kind, " ", s.Name)
		}
		for _, l := range s.Lines {
			w.line(l.Owner, "    ", l.Text)
		}
	}
}

func (w *textWriter) backend(b *Backend) {
	w.line("")
	w.line(b.Owner, "backend ", b.Name, " from ", b.Profile)
	for _, t := range b.Text {
		w.line(b.Owner, "    ", t)
	}
	for i := range b.Servers {
		w.line(b.Servers[i].Owner, "    server ", b.Servers[i].Line(false))
	}
}

type textWriter struct {
	b      strings.Builder
	owners []string
}

// room makes place for about what a configuration takes: it is written at every change.
func (w *textWriter) room(c Config) {
	size, lines := 128, 1
	for _, s := range c.Sections {
		size, lines = size+len(s.Kind)+len(s.Name)+3, lines+2+len(s.Lines)
		for _, l := range s.Lines {
			size += len(l.Text) + 5
		}
	}
	for _, b := range c.Backends {
		size, lines = size+len(b.Name)+len(b.Profile)+16, lines+2+len(b.Text)+len(b.Servers)
		for _, t := range b.Text {
			size += len(t) + 5
		}
		for _, s := range b.Servers {
			size += len(s.Name) + len(s.Address) + len(s.Options) + 64
		}
	}
	w.b.Grow(size)
	w.owners = make([]string, 0, lines)
}

func (w *textWriter) line(owner string, parts ...string) {
	for _, p := range parts {
		w.b.WriteString(p)
	}
	w.b.WriteByte('\n')
	w.owners = append(w.owners, owner)
}

// Text writes a map file.
func (m Map) Text() string {
	var b strings.Builder
	size := 0
	for i := range m.Entries {
		size += len(m.Entries[i].Key) + len(m.Entries[i].Value) + 2
	}
	b.Grow(size)
	for i := range m.Entries {
		for _, part := range [...]string{m.Entries[i].Key, " ", m.Entries[i].Value, "\n"} {
			b.WriteString(part)
		}
	}
	return b.String()
}

// Line writes an entry as a crt-list has it.
func (e CrtEntry) Line() string {
	line := e.File
	if e.Options != "" {
		line += " [" + e.Options + "]"
	}
	if len(e.SNI) > 0 {
		line += " " + strings.Join(e.SNI, " ")
	}
	return line
}

// Text writes a crt-list file.
func (l CrtList) Text() string {
	var b strings.Builder
	for _, e := range l.Entries {
		b.WriteString(e.Line() + "\n")
	}
	return b.String()
}

// Files gives every file without a secret: haproxy.cfg, maps and crt-lists, in the order in which they are
// best written: what is referred to comes first.
func (c Config) Files() []File {
	var list []File
	for _, p := range new(Printer).Files(c) {
		list = append(list, File{p.Path, strings.Join(p.Parts, "")})
	}
	return list
}
