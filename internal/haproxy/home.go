package haproxy

import (
	"slices"
	"strings"
)

// atHome begins the line that says where files are that are named without a leading slash, stateAt the one that names
// the servers' state.
const (
	atHome  = "default-path origin "
	stateAt = "server-state-file "
)

// Here gives a configuration as a HAProxy reads it that is run in the folder of the files, whatever folder it is
// made for: so that a copy of the files can be checked by itself. Lines keep their places.
func (c Config) Here() Config {
	if len(c.Sections) == 0 || len(c.Sections[0].Lines) == 0 || !strings.HasPrefix(c.Sections[0].Lines[0].Text, atHome) {
		return c
	}
	c.Sections = slices.Clone(c.Sections)
	global := &c.Sections[0]
	global.Lines = slices.Clone(global.Lines)
	for i := range global.Lines {
		switch line := &global.Lines[i]; {
		case strings.HasPrefix(line.Text, atHome):
			line.Text = "default-path current"
		case strings.HasPrefix(line.Text, stateAt): // which HAProxy would else talk about
			line.Text = stateAt + StateFile
		}
	}
	return c
}

// Quoted writes a word so that HAProxy reads it as it is. A word with a line end or a NUL can't be written.
func Quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:,=%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
