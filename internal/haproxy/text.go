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
	w.line("", "# Written by Weir; a change by hand is undone. What is wanted: weir get all")
	for _, s := range c.Sections {
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
	for _, b := range c.Backends {
		w.line("")
		w.line(b.Owner, "backend ", b.Name, " from ", b.Profile)
		for _, t := range b.Text {
			w.line(b.Owner, "    ", t)
		}
		for _, s := range b.Servers {
			w.line(s.Owner, "    server ", s.Line(false))
		}
	}
	return w.b.String(), w.owners
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
	for _, e := range m.Entries {
		b.WriteString(e.Key + " " + e.Value + "\n")
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
	for _, cert := range c.Certs {
		if cert.Authority {
			list = append(list, File{cert.Path, cert.Chain})
		}
	}
	for _, l := range c.CrtLists {
		list = append(list, File{l.Path, l.Text()})
	}
	text, _ := c.Text()
	list = append(list, File{ConfigFile, text})
	for _, m := range c.Maps {
		list = append(list, File{m.Path, m.Text()})
	}
	return list
}
