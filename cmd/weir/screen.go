package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// screen is where people read: it knows its width and whether it shows colours.
type screen struct {
	out io.Writer
	// width is in columns, 0 when the output is no terminal and lines may be of any length.
	width int
	// live says that a line can be written over.
	live   bool
	colors bool
}

// screenOf finds out what an output can do.
func screenOf(cmd *cobra.Command, out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.live = os.Getenv("TERM") != "dumb"
		s.width, _, _ = term.GetSize(int(f.Fd()))
		if s.width <= 0 {
			s.width = 80
		}
	} else if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		s.width = n
	}
	switch mode, _ := cmd.Flags().GetString("color"); mode {
	case "always":
		s.colors = true
	case "never":
	default:
		s.colors = s.live && os.Getenv("NO_COLOR") == ""
	}
	return s
}

// stdout is the screen of a command's answer.
func stdout(cmd *cobra.Command) *screen { return screenOf(cmd, cmd.OutOrStdout()) }

// printf writes; what can't be written has nobody to be told.
func (s *screen) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

func (s *screen) line(text string) { _, _ = io.WriteString(s.out, text+"\n") }

// tone is how a word is meant; colours only repeat what the word says.
type tone int

const (
	plain tone = iota
	good
	warning
	bad
	faint
	strong
	title
)

var tones = map[tone]lipgloss.Style{
	good:    lipgloss.NewStyle().Foreground(lipgloss.Green),
	warning: lipgloss.NewStyle().Foreground(lipgloss.Yellow),
	bad:     lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
	faint:   lipgloss.NewStyle().Faint(true),
	strong:  lipgloss.NewStyle().Bold(true),
	title:   lipgloss.NewStyle().Foreground(lipgloss.Cyan).Bold(true),
}

func (s *screen) paint(t tone, text string) string {
	style, ok := tones[t]
	if !ok || !s.colors || text == "" {
		return text
	}
	// Line by line: of many at once all would be filled up to the longest.
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = style.Render(line)
	}
	return strings.Join(lines, "\n")
}

func (s *screen) good(text string) string    { return s.paint(good, text) }
func (s *screen) warning(text string) string { return s.paint(warning, text) }
func (s *screen) bad(text string) string     { return s.paint(bad, text) }
func (s *screen) faint(text string) string   { return s.paint(faint, text) }
func (s *screen) strong(text string) string  { return s.paint(strong, text) }
func (s *screen) title(text string) string   { return s.paint(title, text) }

// clean takes out of a text what would do something else to a terminal than be seen; line ends stay.
func clean(text string) string {
	ok := func(r rune) bool {
		return r == '\n' || r >= ' ' && r < 0x7f || r >= 0xa0 && (r < 0x202a || r > 0x202e) && (r < 0x2066 || r > 0x2069)
	}
	return strings.Map(func(r rune) rune {
		if ok(r) {
			return r
		}
		return utf8.RuneError
	}, text)
}

// oneLine is clean, without line ends.
func oneLine(text string) string { return clean(strings.Join(strings.Fields(text), " ")) }

// cut shortens a text to a width in columns, with an ellipsis where it was cut.
func cut(text string, width int) string {
	if width <= 0 || lipgloss.Width(text) <= width {
		return text
	}
	used := 0
	for i, r := range text {
		w := lipgloss.Width(string(r))
		if used+w > width-1 {
			return text[:i] + "…"
		}
		used += w
	}
	return text
}

// hardHyphen looks like a hyphen and ends no line.
const hardHyphen = "\u2011"

// wrapped breaks a text into lines that fit the screen behind an indent; the first line has the indent too.
func (s *screen) wrapped(indent, text string) string {
	if s.width == 0 || s.width-len(indent) < 20 {
		return indent + text
	}
	return indent + strings.ReplaceAll(inLines(text, s.width-len(indent)), "\n", "\n"+indent)
}

// inLines breaks a text into lines of a width in columns. A hyphen is no place to break: flags and names are copied.
func inLines(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	return strings.ReplaceAll(lipgloss.Wrap(strings.ReplaceAll(text, "-", hardHyphen), width, ""), hardHyphen, "-")
}

// items puts short texts with commas between into lines that fit the screen, none of them broken.
func (s *screen) items(indent string, list []string) []string {
	var lines []string
	line := ""
	for i, item := range list {
		if i < len(list)-1 {
			item += ","
		}
		switch {
		case line == "":
			line = indent + item
		case s.width > 0 && lipgloss.Width(line+" "+item) > s.width:
			lines = append(lines, line)
			line = indent + item
		default:
			line += " " + item
		}
	}
	return append(lines, line)
}
