package weir

import "strings"

// NormalPath gives a path as HAProxy's normalize-uri leaves it in the order in which Weir has it done: letters, digits,
// '-', '.', '_' and '~' not as %XX (RFC 3986, 6.2.2.2), other %XX in capitals, slashes once, no "." and "..".
func NormalPath(path string) string {
	if !strings.HasPrefix(path, "/") || !strings.Contains(path, "%") && !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			b.WriteByte(path[i])
			continue
		}
		if c := unhex(path[i+1])<<4 | unhex(path[i+2]); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	var kept []string
	parts := strings.Split(b.String(), "/")
	for i, part := range parts {
		last := i == len(parts)-1
		switch {
		case part == ".." || part == ".":
			if part == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		case part != "" || last && i > 0:
			kept = append(kept, part)
		}
	}
	return "/" + strings.Join(kept, "/")
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
