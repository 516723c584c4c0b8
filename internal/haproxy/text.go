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
	w := &textWriter{}
	w.line("# Written by Weir; a change by hand is undone. See the wishes with: weir get", "")
	for _, s := range c.Sections {
		w.line("", "")
		w.line(strings.TrimRight(s.Kind+" "+s.Name, " "), "")
		for _, l := range s.Lines {
			w.line("    "+l.Text, l.Owner)
		}
	}
	for _, b := range c.Backends {
		w.line("", "")
		w.line("backend "+b.Name+" from "+b.Profile, b.Owner)
		for _, t := range b.Text {
			w.line("    "+t, b.Owner)
		}
		for _, s := range b.Servers {
			w.line("    server "+s.Line(false), s.Owner)
		}
	}
	return w.b.String(), w.owners
}

type textWriter struct {
	b      strings.Builder
	owners []string
}

func (w *textWriter) line(text, owner string) {
	w.b.WriteString(text)
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
