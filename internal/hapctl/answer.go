package hapctl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Answer is what HAProxy said to a command that it carried out.
type Answer struct {
	// Text is without the mark of its severity and without the empty line that ends it.
	Text string
	// Notes are messages that HAProxy put in front, often about something else.
	Notes string
}

// ErrUnknownCommand is wrapped by a Refused when this HAProxy does not have the command at all.
var ErrUnknownCommand = errors.New("this HAProxy does not know the command")

// Refused says that HAProxy did not carry out a command, or answered something that is not known to mean
// that it did.
type Refused struct {
	// Command is without payload and secrets.
	Command string
	// Text is HAProxy's own.
	Text string
	// Unexpected says that HAProxy did not call it an error, but it is no answer that the command is known
	// to give when it works.
	Unexpected bool
	// Index is the command's place in a batch, from 0.
	Index int

	kind error
}

// Error gives the command and HAProxy's own words.
func (e *Refused) Error() string {
	text := strings.TrimSpace(e.Text)
	if first, _, more := strings.Cut(text, "\n"); more && errors.Is(e.kind, ErrUnknownCommand) {
		text = first // the rest is HAProxy's list of commands
	}
	if e.Unexpected {
		return fmt.Sprintf("run %q: unexpected answer %q", e.Command, text)
	}
	return fmt.Sprintf("run %q: refused: %s", e.Command, text)
}

// Unwrap gives ErrUnknownCommand when that is the reason.
func (e *Refused) Unwrap() error { return e.kind }

// markLength is that of a severity mark, as in "[6]: New server registered."
const markLength = len("[6]: ")

// lastMark gives where the last line begins that has a severity mark, -1 when none has.
func lastMark(raw string) int {
	for end := len(raw); ; {
		at := strings.LastIndexByte(raw[:end], '[')
		if at < 0 {
			return -1
		}
		if line := raw[at:]; (at == 0 || raw[at-1] == '\n') && len(line) >= markLength && '0' <= line[1] && line[1] <= '7' && line[2:markLength] == "]: " {
			return at
		}
		end = at
	}
}

// classify tells from the text of an answer whether the command was carried out.
func classify(c Command, raw string) (Answer, error) {
	raw = strings.TrimRight(raw, "\n")
	a, failed := Answer{Text: raw}, false
	// Messages of before may stand in front, each with its own mark: the last one is the answer's.
	if at := lastMark(raw); at >= 0 {
		a.Notes, a.Text = strings.TrimRight(raw[:at], "\n"), raw[at+markLength:]
		failed = raw[at+1] <= '3'
	}
	unknown := strings.HasPrefix(a.Text, "Unknown command") // which HAProxy holds for mere information
	want := expected(c)
	if !unknown && !failed && (want == nil || want(a.Text)) {
		return a, nil
	}
	refused := &Refused{Command: c.String(), Text: c.scrub(a.Text), Unexpected: !unknown && !failed}
	if unknown {
		refused.kind = ErrUnknownCommand
	}
	return a, refused
}

// expected gives what tells a good answer of the command; nil for commands that show something.
func expected(c Command) func(text string) bool {
	if c.is("set", "server") && len(c.words) > 3 && c.words[3] == "addr" {
		return says("IP changed from ", "port changed from ", "nothing changed", "no need to change ")
	}
	for _, e := range expectations {
		if c.is(e.words...) {
			return e.good
		}
	}
	return nil
}

type expectation struct {
	words []string
	good  func(text string) bool
}

// expectations, the first that fits counts. An answer that is not here is taken for a failure, so that a
// HAProxy which begins to say something else is noticed at once.
var expectations = []expectation{
	{words("add server"), says("New server registered.")},
	{words("del server"), says("Server deleted.")},
	{words("add backend"), says("New backend registered.")},
	{words("del backend"), says("Backend deleted.")},
	{words("publish backend"), says("Backend published.")},
	{words("unpublish backend"), says("Backend unpublished.")},
	{words("wait"), says("Done.")},
	{words("new ssl cert"), says("New empty certificate store ")},
	{words("set ssl cert"), says("Transaction created for certificate ", "Transaction updated for certificate ")},
	{words("abort ssl cert"), says("Transaction aborted for certificate ")},
	{words("del ssl cert"), says("Certificate '")},
	{words("new ssl ca-file"), says("New CA file created ")},
	{words("set ssl ca-file"), says("transaction created for CA ", "transaction updated for CA ")},
	{words("add ssl ca-file"), says("transaction created for CA ", "transaction updated for CA ")},
	{words("abort ssl ca-file"), says("Transaction aborted for certificate ")},
	{words("del ssl ca-file"), says("CA file '")},
	{words("add ssl crt-list"), says("Success!")},
	{words("del ssl crt-list"), says("Entry '")},
	{words("commit ssl"), says("Success!")},
	{words("set ssl tls-key"), says("TLS ticket key updated!")},
	{words("prepare"), says("New version created: ")},
	{words("add map"), silent},
	{words("set map"), silent},
	{words("del map"), silent},
	{words("clear map"), silent},
	{words("commit map"), silent},
	{words("add acl"), silent},
	{words("del acl"), silent},
	{words("clear acl"), silent},
	{words("commit acl"), silent},
	{words("enable"), silent},
	{words("disable"), silent},
	{words("shutdown"), silent},
	{words("set weight"), silent},
	{words("set maxconn"), silent},
	{words("set server"), silent},
	{words("set timeout"), silent},
	{words("set table"), silent},
	{words("clear table"), silent},
	{words("clear counters"), silent},
}

func words(s string) []string { return strings.Fields(s) }

// says is good when the last line begins with one of the words.
func says(beginnings ...string) func(string) bool {
	return func(text string) bool {
		line := text[strings.LastIndexByte(text, '\n')+1:]
		for _, b := range beginnings {
			if strings.HasPrefix(line, b) {
				return true
			}
		}
		return false
	}
}

// messages are how the lines begin in which HAProxy says what happened to servers.
var messages = []string{"Server ", "Health check for server ", "Backend ", "backend ", "Proxy "}

// silent is good when the answer says nothing but what happened to servers meanwhile.
func silent(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !slices.ContainsFunc(messages, func(m string) bool { return strings.HasPrefix(line, m) }) {
			return false
		}
	}
	return true
}
