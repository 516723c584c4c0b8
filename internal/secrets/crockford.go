package secrets

import "errors"

// digits is Crockford's base 32, lower case: no i, l, o, u, so that what is read aloud or typed survives.
const digits = "0123456789abcdefghjkmnpqrstvwxyz"

var errDigits = errors.New("a character that tokens don't have")

// encode32 writes data in base 32, the last digit padded with zero bits.
func encode32(data []byte) string {
	out := make([]byte, 0, (len(data)*8+4)/5)
	var acc, bits uint
	for _, b := range data {
		acc, bits = acc<<8|uint(b), bits+8
		for bits >= 5 {
			bits -= 5
			out = append(out, digits[acc>>bits&31])
		}
	}
	if bits > 0 {
		out = append(out, digits[acc<<(5-bits)&31])
	}
	return string(out)
}

// decode32 reverses encode32; capitals, and i, l, o for the digits they look like, are let pass.
func decode32(text string) ([]byte, error) {
	out := make([]byte, 0, len(text)*5/8)
	var acc, bits uint
	for i := range len(text) {
		v, err := digit(text[i])
		if err != nil {
			return nil, err
		}
		acc, bits = (acc<<5|v)&0xfff, bits+5
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
		}
	}
	if acc&(1<<bits-1) != 0 || bits >= 5 {
		return nil, errDigits
	}
	return out, nil
}

func digit(c byte) (uint, error) {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	switch c {
	case 'o':
		return 0, nil
	case 'i', 'l':
		return 1, nil
	}
	for v := range len(digits) {
		if digits[v] == c {
			return uint(v), nil
		}
	}
	return 0, errDigits
}
