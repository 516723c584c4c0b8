package weirtest

import (
	"iter"
	"math/rand/v2"
	"strings"
)

// hostile lists what has a meaning in HAProxy's configuration, at its run-time socket, in
// its maps and lists, in log lines, YAML or JSON, and so is worth putting where it should not be.
var hostile = []string{
	"\n", "\r\n", "\r", "\t", "\x00", "\x1b[2J", "\x7f", " ", ";", ";\n", "\\", "\\n", "\"", "'", "`",
	"#", "%[", "%[src]", "%", "%%", "${HOME}", "$", "{", "}", "[", "]", "<", "<<", "<<EOF\n", "|", "&", "*", "!",
	"\n\n", "\n.\n", "\nquit\n", ";show info;", "\nglobal\n", "\n  server x 127.0.0.1:1\n", "@", "@1 ", "-f", "--",
	"../", "/", "//", "..", ":", ",", "=", "\u202e", "\u00a0", "\u2028", "é", "\xff", "\xc3", "\xed\xa0\x80",
	"0", "-1", "18446744073709551616", "1e309", "NaN", "null", "true", "~", "---\n", "&a [*a]", "0x0", "::", "[::1]:80",
}

// Mutants yields n strings made from the seeds by cutting, doubling, joining and putting in
// what is hostile. The same arguments yield the same strings, on every machine: a fuzz that
// make test can run and that fails again when run again.
func Mutants(seed uint64, n int, seeds ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		r := rand.New(rand.NewPCG(seed, 0x77656972))
		if len(seeds) == 0 {
			seeds = []string{""}
		}
		for range n {
			s := seeds[r.IntN(len(seeds))]
			for range 1 + r.IntN(4) {
				s = mutate(r, s, seeds)
			}
			if !yield(s) {
				return
			}
		}
	}
}

// mutantLimit keeps a mutant from growing without bound by doubling.
const mutantLimit = 64 << 10

func mutate(r *rand.Rand, s string, seeds []string) string {
	i := r.IntN(len(s) + 1)
	j := i + r.IntN(len(s)-i+1)
	switch k := r.IntN(8); {
	case k == 0: // cut
		return s[:i] + s[j:]
	case k == 1 && len(s) < mutantLimit/64: // repeat a part
		return s[:i] + strings.Repeat(s[i:j], 1+r.IntN(8)) + s[j:]
	case k == 2: // one byte becomes another
		if i == len(s) {
			return s + string([]byte{byte(r.IntN(256))})
		}
		return s[:i] + string([]byte{byte(r.IntN(256))}) + s[i+1:]
	case k == 3: // the head of one, the tail of another
		o := seeds[r.IntN(len(seeds))]
		return s[:i] + o[r.IntN(len(o)+1):]
	case k == 4: // end too early
		return s[:i]
	case k == 5: // put in the place of a part
		return s[:i] + hostile[r.IntN(len(hostile))] + s[j:]
	default:
		return s[:i] + hostile[r.IntN(len(hostile))] + s[i:]
	}
}
