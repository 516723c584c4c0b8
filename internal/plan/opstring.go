package plan

import (
	"fmt"
	"strconv"
	"strings"
)

// String gives the operation as the run-time command that carries it out, for people to read: payloads are cut
// to what matters and secrets are never there. What is no command is a comment, as HAProxy's own begin with #.
func (o Op) String() string {
	at := o.Backend + "/" + o.Server
	switch o.Kind {
	case NewCA:
		return "new ssl ca-file " + word(o.Path)
	case SetCA:
		return "set ssl ca-file " + word(o.Path) + " <<…"
	case DelCA:
		return "del ssl ca-file " + word(o.Path)
	case NewCert:
		return "new ssl cert " + word(o.Path)
	case SetCert:
		return "set ssl cert " + word(o.Path) + " <<…"
	case DelCert:
		return "del ssl cert " + word(o.Path)
	case AddCrt:
		return "add ssl crt-list " + word(o.Path) + " <<… " + o.crtLine()
	case DelCrt:
		return "del ssl crt-list " + word(o.Path) + " " + o.crtLine()
	case AddBackend:
		return "add backend " + o.Backend + " from " + o.Profile + suffix(" mode ", o.Mode)
	case PublishBackend:
		return "publish backend " + o.Backend
	case UnpublishBackend:
		return "unpublish backend " + o.Backend
	case RemoveBackend:
		return "del backend " + o.Backend
	case AddServer:
		return "add server " + at + " " + o.Address + o.serverWords()
	case EnableHealth:
		return "enable health " + at
	case EnableServer:
		return "enable server " + at
	case DisableServer:
		return "disable server " + at
	case RemoveServer:
		return "del server " + at
	case SetWeight:
		return "set server " + at + " weight " + strconv.Itoa(o.Weight)
	case SetMaxConnections:
		return "set maxconn server " + at + " " + strconv.Itoa(o.MaxConnections)
	case WaitUp:
		return "# wait until " + some(o.Servers, 5) + " of " + o.Backend + be(len(o.Servers)) + " up"
	case MapAdd:
		return "add map " + word(o.Path) + " " + word(o.Key) + " " + word(o.Value)
	case MapSet:
		return "set map " + word(o.Path) + " " + word(o.Key) + " " + word(o.Value)
	case MapDel:
		return "del map " + word(o.Path) + " " + word(o.Key)
	case MapSwap:
		return "commit map @new " + word(o.Path) + " <<… " + count(len(o.Entries), "entry", "entries")
	default:
		return fmt.Sprintf("# unknown operation %q", string(o.Kind))
	}
}

func (o Op) serverWords() string {
	var b strings.Builder
	if o.ID != 0 {
		fmt.Fprintf(&b, " id %d", o.ID)
	}
	fmt.Fprintf(&b, " weight %d", o.Weight)
	if o.MaxConnections != 0 {
		fmt.Fprintf(&b, " maxconn %d", o.MaxConnections)
	}
	return b.String() + suffix(" ", o.Options)
}

func (o Op) crtLine() string {
	line := word(o.File)
	if o.Options != "" {
		line += " [" + o.Options + "]"
	}
	if len(o.SNI) > 0 {
		line += " " + strings.Join(first(o.SNI, 4), " ")
	}
	if n := len(o.SNI) - 4; n > 0 {
		line += fmt.Sprintf(" …%d more", n)
	}
	return line
}

// longest is how many bytes of one word are printed.
const longest = 100

// word writes one word of a command with the escapes that HAProxy's command line wants, cut when it is long.
func word(s string) string {
	cut := ""
	if len(s) > longest {
		s, cut = strings.ToValidUTF8(s[:longest], ""), "…"
	}
	if s == "" {
		return `""`
	}
	return escape.Replace(s) + cut
}

var escape = strings.NewReplacer(`\`, `\\`, `;`, `\;`, ` `, `\ `, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`)

func suffix(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}

func first[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// some lists up to n names, and how many more there are: "a, b and 3 more", "a and b".
func some(names []string, n int) string {
	switch {
	case len(names) == 0:
		return "nothing"
	case len(names) == 1:
		return names[0]
	case len(names) > n:
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
	default:
		return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func be(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}
