package weir

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// MaxRegex is the longest regex accepted, in bytes.
const MaxRegex = 512

// CheckRegex says why s can't be a regex of a route or a map, or nil. The regexes of all sites of a load balancer
// stand in one list, each as (?:…) behind its site's name, so one that closed a group it did not open would
// match the requests of others. What PCRE and a plain reader could see differently is therefore refused. Whether
// it means anything is for HAProxy to say.
func CheckRegex(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("is required")
	case len(s) > MaxRegex:
		return fmt.Errorf("is %d bytes long; at most %d are allowed", len(s), MaxRegex)
	case strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0:
		return fmt.Errorf(`may hold only printable ASCII without blanks; write a blank as \x20`)
	case s[0] == '#':
		return fmt.Errorf(`begins with '#', which begins a comment in a map file; write it as \x23`)
	}
	depth := 0
	for i := 0; i < len(s); {
		n := 1
		var err error
		switch s[i] {
		case '\\':
			n, err = escapeAt(s[i:])
		case '[':
			n, err = classAt(s[i:])
		case '(':
			depth++
			err = groupAt(s[i:])
		case ')':
			if depth--; depth < 0 {
				err = fmt.Errorf(`closes a group that it did not open, at byte %d; write the sign itself as \)`, i)
			}
		}
		if err != nil {
			return err
		}
		i += n
	}
	return nil
}

// CheckPortableRegex says why Go's regexes and PCRE could read s differently, or nil; s is one that CheckRegex takes.
func CheckPortableRegex(s string) error { return checkSafeRegex(s) }

// checkSafeRegex says why HAProxy could refuse a regex, with all else of the site that it is for, or nil. It takes what
// RE2 and PCRE read alike, and no more than PCRE has room for; s is one that CheckRegex takes.
func checkSafeRegex(s string) error {
	parsed, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return err
	}
	if prog, err := syntax.Compile(parsed.Simplify()); err != nil || len(prog.Inst) > 1000 {
		return fmt.Errorf("is too large once its repetitions are written out")
	}
	var bones strings.Builder // without classes, and a sign for what is escaped
	for i := 0; i < len(s); {
		n := 1
		switch s[i] {
		case '\\':
			n = 2
			bones.WriteByte('e')
		case '[':
			if n, _ = classAt(s[i:]); n == 0 {
				return fmt.Errorf("holds a class that can't be read")
			}
			bones.WriteByte('c')
			if mixedClass.MatchString(s[i : i+n]) {
				return fmt.Errorf("may not have '-' in the middle of a class behind a type such as \\d; put it at the end")
			}
		default:
			bones.WriteByte(s[i])
		}
		i += n
	}
	if found := readOtherwise.FindString(bones.String()) + oddEscape.FindString(s); found != "" {
		return fmt.Errorf("may not hold %q", found)
	}
	return nil
}

var (
	mixedClass    = regexp.MustCompile(`(?:\\[a-zA-Z]|:\])-[^\]]`)
	readOtherwise = regexp.MustCompile(`[\^$][*+?{]|\{,|\(\?P|\(\?<`)
	oddEscape     = regexp.MustCompile(`\\(?:x\{|[0-9aceg-mo-qu-vyzACE-RT-VX-Z])`)
)

// escapeAt gives the length of a backslash with what it escapes.
func escapeAt(s string) (int, error) {
	if len(s) > 1 && strings.IndexByte("QEc", s[1]) >= 0 {
		return 0, fmt.Errorf(`may not hold \%c; escape each sign by itself`, s[1])
	}
	return 2, nil
}

// groupAt refuses groups whose inside is no regex.
func groupAt(s string) error {
	for _, begin := range []string{"(*", "(?#", "(?C"} {
		if strings.HasPrefix(s, begin) {
			return fmt.Errorf("may not hold %q: comments, verbs and callouts are not read", begin)
		}
	}
	flags, ok := strings.CutPrefix(s, "(?")
	if end := strings.IndexFunc(flags, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '^') }); ok && end > 0 {
		if sign := flags[end]; (sign == ')' || sign == ':') && strings.Contains(flags[:end], "x") {
			return fmt.Errorf("may not switch to the extended syntax (x)")
		}
	}
	return nil
}

var posixClasses = strings.Fields("alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit")

// classAt gives the length of a class in brackets, up to the end of s when it is not closed.
func classAt(s string) (int, error) {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	if i < len(s) && s[i] == ']' {
		return 0, fmt.Errorf(`begins a class with ']'; write the sign itself as \]`)
	}
	for i < len(s) {
		n := 1
		var err error
		switch s[i] {
		case ']':
			return i + 1, nil
		case '\\':
			n, err = escapeAt(s[i:])
		case '[':
			if n = posixAt(s[i:]); n == 0 {
				err = fmt.Errorf(`holds '[' inside a class; write the sign itself as \[`)
			}
		}
		if err != nil {
			return 0, err
		}
		i += n
	}
	return len(s), nil
}

// posixAt gives the length of a class such as [:alpha:], 0 when there is none.
func posixAt(s string) int {
	for _, name := range posixClasses {
		for _, form := range []string{"[:" + name + ":]", "[:^" + name + ":]"} {
			if strings.HasPrefix(s, form) {
				return len(form)
			}
		}
	}
	return 0
}
