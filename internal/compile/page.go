package compile

import (
	"fmt"
	"maps"

	"weir"
)

// maxPage is the longest base64 form of an error page that one run-time command carries, in bytes.
const maxPage = 15_000

// pages takes the error pages that fit the group's buffers.
func (b *builder) pages(ref weir.Ref, pages map[weir.Status3]string) map[weir.Status3]string {
	if len(pages) == 0 {
		return nil
	}
	good := maps.Clone(pages)
	for _, status := range sortedKeys(pages) {
		if !b.page(pages[status], ref, status) {
			delete(good, status)
		}
	}
	return good
}

func (b *builder) page(name string, ref weir.Ref, status weir.Status3) bool {
	if fits, ok := b.shown[name]; ok {
		return fits
	}
	page := weir.Find[weir.ErrorPage](b.set, "ErrorPage", name)
	if page == nil {
		b.problems.add(ref, fmt.Sprintf("spec.errorPages[%d]", int(status)), "ErrorPage/%s does not exist; HAProxy's own text is shown", name)
		return false
	}
	// HAProxy decodes the page from base64 into a buffer that also takes the answer's head.
	t := b.node.Tuning
	most := min(t.BufferSize-t.MaxRewrite-1024, maxPage)
	need := (len(page.Body) + 2) / 3 * 4
	if need > most {
		b.problems.add(weir.Ref{Kind: "ErrorPage", Name: name}, "spec.body",
			"is %d bytes long, and group %s can show at most %d (Tuning bufferSize %d and maxRewrite %d, and what one run-time command carries); HAProxy's own text is shown: shorten it",
			len(page.Body), b.ref.Name, max(most, 0)/4*3, t.BufferSize, t.MaxRewrite)
	}
	b.shown[name] = need <= most
	return need <= most
}
