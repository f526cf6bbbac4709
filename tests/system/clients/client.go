// Go's net/http as it comes: it reads the proxy from the environment, and speaks HTTP/2 inside a tunnel when the origin does.
// usage: client SHA256
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func sha(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func same(got, want interface{}) {
	if got != want {
		check(fmt.Errorf("%v instead of %v", got, want))
	}
}

func read(r *http.Response, err error) []byte {
	check(err)
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	check(err)
	return data
}

func main() {
	upload := make([]byte, 5<<20)
	_, err := rand.Read(upload)
	check(err)
	for _, scheme := range []string{"http", "https"} {
		same(sha(read(http.Get(scheme+"://storage.googleapis.com/bytes/16m.bin"))), os.Args[1])
		var said struct{ Sha256 string }
		// Of unknown length: chunked.
		body := io.MultiReader(bytes.NewReader(upload))
		check(json.Unmarshal(read(http.Post(scheme+"://test.googleapis.com/hash", "application/octet-stream", body)), &said))
		same(said.Sha256, sha(upload))
	}
	r, err := http.Get("https://h2.googleapis.com/")
	same(strings.HasPrefix(string(read(r, err)), "hello from h2.googleapis.com"), true)
	same(r.Proto, "HTTP/2.0")
	r, err = http.Get("http://example.com/")
	same(strings.Contains(string(read(r, err)), "not-listed"), true)
	same(r.StatusCode, 403)
	_, err = http.Get("https://example.com/")
	same(err != nil && strings.Contains(err.Error(), "Forbidden"), true)
	fmt.Println("go ok")
}
