package accesslog

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxNumber = 1<<63 - 1
	minNumber = -maxNumber
	maxDigits = 18 // any number of so many digits fits an int64
)

// parser walks over a line in the one order that the formats have. The first surprise sets
// bad, after which every step is harmless and its result is thrown away with the line.
type parser struct {
	b   []byte
	i   int
	buf []byte // strings with escapes are decoded into its spare room
	bad bool
}

func (p *parser) at(s string) bool {
	return len(p.b)-p.i >= len(s) && string(p.b[p.i:p.i+len(s)]) == s
}

func (p *parser) literal(s string) {
	if p.bad || !p.at(s) {
		p.bad = true
		return
	}
	p.i += len(s)
}

func (p *parser) byte() byte {
	if p.bad || p.i >= len(p.b) {
		p.bad = true
		return 0
	}
	p.i++
	return p.b[p.i-1]
}

func (p *parser) skip(c byte) bool {
	if p.bad || p.i >= len(p.b) || p.b[p.i] != c {
		return false
	}
	p.i++
	return true
}

// end takes the closing brace and the line end that HAProxy adds; nothing may follow.
func (p *parser) end() {
	p.literal("}")
	p.skip('\n')
	if p.i != len(p.b) {
		p.bad = true
	}
}

// number takes an integer as JSON writes it, between least and most. Minus zero is none.
func (p *parser) number(least, most int64) int64 {
	negative := p.skip('-')
	start := p.i
	var v int64
	for p.i < len(p.b) && p.b[p.i]-'0' <= 9 {
		if p.i-start == maxDigits {
			p.bad = true
			return 0
		}
		v = v*10 + int64(p.b[p.i]-'0')
		p.i++
	}
	n := p.i - start
	if negative {
		v = -v
	}
	if n == 0 || n > 1 && p.b[start] == '0' || negative && v == 0 || v < least || v > most {
		p.bad = true
		return 0
	}
	return v
}

// truth takes 1 or 0; HAProxy writes - for what it can't tell.
func (p *parser) truth() bool {
	c := p.byte()
	if c != '0' && c != '1' && c != '-' {
		p.bad = true
	}
	return c == '1'
}

// optionalText takes a string or null, which is what +json makes of nothing.
func (p *parser) optionalText() []byte {
	if p.at("null") {
		p.literal("null")
		return nil
	}
	return p.text()
}

// text takes a string. One without escapes and with ASCII only, the common case, is a part of
// the line; any other is decoded, what is no UTF-8 becoming U+FFFD as in encoding/json.
func (p *parser) text() []byte {
	if !p.skip('"') {
		p.bad = true
		return nil
	}
	rest := p.b[p.i:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 {
		p.bad = true
		return nil
	}
	for _, c := range rest[:n] {
		if c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			return p.decoded()
		}
	}
	p.i += n + 1
	return rest[:n:n]
}

// decoded takes the rest of a string that needs decoding.
func (p *parser) decoded() []byte {
	start := len(p.buf)
	for p.i < len(p.b) {
		c := p.b[p.i]
		switch {
		case c == '"':
			p.i++
			return p.buf[start:len(p.buf):len(p.buf)]
		case c < ' ':
			p.bad = true
			return nil
		case c == '\\':
			p.i++
			p.escape()
			if p.bad {
				return nil
			}
		case c < utf8.RuneSelf:
			p.buf = append(p.buf, c)
			p.i++
		default:
			r, n := utf8.DecodeRune(p.b[p.i:])
			p.buf = utf8.AppendRune(p.buf, r)
			p.i += n
		}
	}
	p.bad = true
	return nil
}

// escape takes what follows a backslash.
func (p *parser) escape() {
	c := p.byte()
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		p.buf = utf8.AppendRune(p.buf, p.codePoint())
		return
	default:
		p.bad = true
		return
	}
	p.buf = append(p.buf, c)
}

// codePoint takes the four digits after \u, and a second half when they are the first of a
// surrogate pair. A half alone is U+FFFD.
func (p *parser) codePoint() rune {
	r := p.hex4()
	if !utf16.IsSurrogate(r) {
		return r
	}
	back := p.i
	if p.at(`\u`) {
		p.i += 2
		if pair := utf16.DecodeRune(r, p.hex4()); pair != utf8.RuneError {
			return pair
		}
		p.i = back // what follows is taken by itself, and refused there if it is no escape
	}
	return utf8.RuneError
}

func (p *parser) hex4() rune {
	var r rune
	for range 4 {
		d := hexDigit(p.byte())
		if d < 0 {
			p.bad = true
			return 0
		}
		r = r<<4 | d
	}
	return r
}

func hexDigit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}
