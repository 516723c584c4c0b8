package haproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"weir"
)

// What is compressed and how stands in profiles, since backends decide before frontends do. A backend that is added at
// run time has no filter of its own, whatever its profile says: the one of the frontend takes its word.

// compressing gives the ways in which pools of the group compress, by the names that their profiles have.
func (r *renderer) compressing() map[string]*weir.Compression {
	all := map[string]*weir.Compression{}
	for i := range r.node.Pools {
		if c := r.node.Pools[i].Compression; c != nil {
			all[compressionName(c)] = c
		}
	}
	return all
}

func compressionName(c *weir.Compression) string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(c.Types, " ")))
	return fmt.Sprintf("z-%d-%s", c.MinSize, hex.EncodeToString(sum[:8]))
}

// compressFilter stands in frontends of groups that have a pool that compresses; others don't pay for it.
func (r *renderer) compressFilter(s *Section) {
	if r.can.DynamicBackends && len(r.compressing()) > 0 {
		s.add("filter compression")
	}
}

// compress is what a profile says.
func compress(s *Section, c *weir.Compression) {
	if c == nil {
		return
	}
	s.add("compression algo gzip")
	s.add("compression type %s", strings.Join(c.Types, " "))
	s.add("compression minsize-res %d", c.MinSize)
}
