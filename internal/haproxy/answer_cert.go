package haproxy

import (
	"strings"
	"time"
)

// CrtListLine is one entry of a crt-list as HAProxy has it.
type CrtListLine struct {
	// Line is the number by which «del ssl crt-list LIST FILE:LINE» knows the entry.
	Line int
	File string
	// Options are without brackets, as HAProxy writes them, which may differ from how they were given.
	Options string
	// SNI are the names; those with "!" in front are excluded.
	SNI []string
}

// ParseCrtList reads the answer of «show ssl crt-list -n NAME»: the list's name and its entries in order.
func ParseCrtList(text string) (string, []CrtListLine, error) {
	// HAProxy ends the ALPN protocols in an option with a NUL byte.
	a := read("show ssl crt-list", strings.ReplaceAll(text, "\x00", ""))
	head, _ := a.line()
	name, ok := strings.CutPrefix(head, "# ")
	if !ok || name == "" {
		return "", nil, a.wrong("want # and the list's name, not %s", shown(head))
	}
	entries := make([]CrtListLine, 0, len(a.lines))
	for {
		line, ok := a.line()
		if !ok {
			return name, entries, nil
		}
		e, err := a.crtListLine(line)
		if err != nil {
			return "", nil, err
		}
		entries = append(entries, e)
	}
}

func (a *answer) crtListLine(line string) (CrtListLine, error) {
	var e CrtListLine
	where, rest, _ := strings.Cut(line, " ")
	colon := strings.LastIndexByte(where, ':')
	if colon < 1 {
		return e, a.wrong("want FILE:LINE, not %s", shown(where))
	}
	n, err := a.count("line of the list", where[colon+1:])
	if err != nil {
		return e, err
	}
	e.File, e.Line = where[:colon], n
	if options, ok := strings.CutPrefix(rest, "["); ok {
		e.Options, rest, ok = strings.Cut(options, "]")
		if !ok || rest != "" && rest[0] != ' ' {
			return e, a.wrong("options of %s do not end", shown(e.File))
		}
		e.Options = strings.TrimSpace(e.Options)
	}
	e.SNI = strings.Fields(rest)
	return e, nil
}

// LiveCert is what HAProxy says of a certificate that it has in memory.
type LiveCert struct {
	Name string
	// Transaction says that this is the uncommitted half of a change to Name.
	Transaction bool
	// Status is Used, Unused, Empty or Uncommitted.
	Status string
	// Serial and SHA1 are upper case hexadecimal, of the leaf; empty with the dates while Status is Empty.
	Serial, SHA1        string
	NotBefore, NotAfter time.Time
	// Names are the subject's alternative names, as "DNS:www.example.com".
	Names                      []string
	Subject, Issuer, Algorithm string
}

// ParseCert reads the answer of «show ssl cert NAME»; lines that it has no use for are passed over.
func ParseCert(text string) (LiveCert, error) {
	a := read("show ssl cert", text)
	var c LiveCert
	seen := map[string]bool{}
	for {
		line, ok := a.line()
		if !ok {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return c, a.wrong("want «name: value», not %s", shown(line))
		}
		if err := a.certField(&c, seen, key, strings.TrimSpace(value)); err != nil {
			return c, err
		}
	}
	switch {
	case c.Name == "":
		return c, a.wrong("no Filename")
	case c.Status == "":
		return c, a.wrong("no Status")
	case c.Status != "Empty" && (c.Serial == "" || c.SHA1 == "" || c.NotAfter.IsZero()):
		return c, a.wrong("serial, fingerprint or notAfter of a certificate that is not empty are missing")
	}
	return c, nil
}

func (a *answer) certField(c *LiveCert, seen map[string]bool, key, value string) error {
	text := map[string]*string{
		"Filename": &c.Name, "Status": &c.Status, "Serial": &c.Serial, "SHA1 FingerPrint": &c.SHA1,
		"Subject": &c.Subject, "Issuer": &c.Issuer, "Algorithm": &c.Algorithm,
	}
	times := map[string]*time.Time{"notBefore": &c.NotBefore, "notAfter": &c.NotAfter}
	to, isText := text[key]
	at, isTime := times[key]
	if (isText || isTime) && seen[key] {
		return a.wrong("%s stands twice", key)
	}
	seen[key] = true
	switch {
	case isText:
		*to = value
	case isTime:
		t, err := time.Parse("Jan _2 15:04:05 2006 MST", value)
		if err != nil {
			return a.wrong("%s: want a date, not %s", key, shown(value))
		}
		*at = t.UTC()
	case key == "Subject Alternative Name":
		c.Names = strings.Split(value, ", ")
	}
	if key == "Filename" {
		c.Name, c.Transaction = strings.CutPrefix(value, "*")
	}
	return nil
}

// CertNames is which certificates HAProxy has in memory.
type CertNames struct {
	// Transaction is the certificate that has an uncommitted change, "" for none; there is at most one.
	Transaction string
	Names       []string
}

// ParseCerts reads the answer of «show ssl cert», which is empty when there is none.
func ParseCerts(text string) (CertNames, error) {
	a := read("show ssl cert", text)
	var c CertNames
	section := ""
	for {
		line, ok := a.line()
		switch {
		case !ok:
			return c, nil
		case line == "# transaction" || line == "# filename":
			section = line
		case section == "# transaction" && c.Transaction == "" && len(line) > 1 && line[0] == '*':
			c.Transaction = line[1:]
		case section == "# filename" && line != "" && line[0] != '#' && !strings.ContainsAny(line, " \t"):
			c.Names = append(c.Names, line)
		default:
			return c, a.wrong("%s is not expected here", shown(line))
		}
	}
}
