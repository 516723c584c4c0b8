package hapctl

import (
	"regexp"
	"strconv"
	"strings"
)

// LogLine is one message of HAProxy on its standard error.
type LogLine struct {
	// Level is NOTICE, WARNING or ALERT; empty for what has no level.
	Level string
	// File and Line are the place in the configuration that the message is about; "" and 0 without one.
	File string
	Line int
	// Text is HAProxy's own, without level, process and place in front.
	Text string
}

var (
	levelMark = regexp.MustCompile(`^\[([A-Z]+)\]\s+\(\d+\) : (?:config : )?`)
	place     = regexp.MustCompile(`(?:\b(?:parsing|at|in) \[([^\[\]]+):(\d+)\]|^\[([^\[\]]+):(\d+)\] ?:)`)
	placeMark = regexp.MustCompile(`^parsing \[[^\[\]]+\] ?: ?`)
)

// ParseLogLines reads what HAProxy says when it starts, checks or reloads; a line without a level belongs to
// the message before.
func ParseLogLines(lines []string) []LogLine {
	var out []LogLine
	for _, line := range lines {
		mark := levelMark.FindStringSubmatch(line)
		switch {
		case mark != nil:
			out = append(out, parseLogLine(mark[1], line[len(mark[0]):]))
		case strings.TrimSpace(line) == "":
		case len(out) == 0:
			out = append(out, LogLine{Text: strings.TrimSpace(line)})
		default:
			out[len(out)-1].Text += "\n" + strings.TrimRight(line, " ")
		}
	}
	return out
}

func parseLogLine(level, text string) LogLine {
	l := LogLine{Level: level, Text: strings.TrimSpace(text)}
	if at := place.FindStringSubmatch(l.Text); at != nil {
		if n, err := strconv.Atoi(at[2] + at[4]); err == nil {
			l.File, l.Line = at[1]+at[3], n
		}
	}
	// HAProxy says some places twice.
	for {
		mark := placeMark.FindString(l.Text)
		if mark == "" {
			return l
		}
		l.Text = l.Text[len(mark):]
	}
}

// problems keeps what says why a configuration is refused: alerts, and warnings when they count. Sentences
// that only sum up are left out when there is anything else.
func problems(lines []string, warnings bool) []LogLine {
	var all, telling []LogLine
	for _, l := range ParseLogLines(lines) {
		if l.Level != "ALERT" && (l.Level != "WARNING" || !warnings) {
			continue
		}
		all = append(all, l)
		if !sumsUp(l.Text) {
			telling = append(telling, l)
		}
	}
	if len(telling) > 0 {
		return telling
	}
	return all
}

func sumsUp(text string) bool {
	for _, s := range []string{"Error(s) found in configuration", "Fatal errors found in configuration", "Some warnings were found"} {
		if strings.HasPrefix(text, s) {
			return true
		}
	}
	return false
}

// joinLines writes problems for an error's text, some of them if they are many.
func joinLines(lines []LogLine) string {
	const most = 5
	var b strings.Builder
	for i, l := range lines {
		if i == most {
			b.WriteString("; and " + strconv.Itoa(len(lines)-most) + " more")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if l.File != "" {
			b.WriteString(l.File + ":" + strconv.Itoa(l.Line) + ": ")
		}
		b.WriteString(l.Text)
	}
	return b.String()
}
