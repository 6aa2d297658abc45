// What a function can do with its end: each behaviour by its name.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/tencentyun/scf-go-lib/cloudfunction"
)

type event struct {
	Do   string `json:"do"`
	Ms   int    `json:"ms"`
	Mark string `json:"mark"`
	URL  string `json:"url"`
}

// A child in the same group that has something to do when it is signalled.
const foster = `trap "sleep 0.2; echo cleaned up; exit 0" TERM; while :; do sleep 0.05; done`

func report(e event, what string) {
	if e.URL == "" {
		return
	}
	if answer, err := http.Get(e.URL + "/" + what); err == nil {
		_ = answer.Body.Close()
	}
}

func handle(ctx context.Context, e event) (any, error) {
	signal.Reset(syscall.SIGTERM) // a warm instance remembers what the event before has set
	stopped := make(chan os.Signal, 1)
	switch e.Do {
	case "ignores":
		signal.Ignore(syscall.SIGTERM)
	case "tidies", "reports":
		signal.Notify(stopped, syscall.SIGTERM)
	case "cleans":
		first := make(chan os.Signal, 1)
		signal.Notify(first, syscall.SIGTERM)
		go func() {
			number := <-first
			time.AfterFunc(200*time.Millisecond, func() { fmt.Println("cleaned up") })
			stopped <- number
		}()
	case "fosters":
		child := exec.Command("sh", "-c", foster)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return nil, err
		}
	case "leaves":
		signal.Notify(stopped, syscall.SIGTERM)
		go func() {
			<-stopped
			os.Exit(0)
		}()
	case "spawns":
		for _, session := range []bool{false, true} {
			child := exec.Command("sleep", e.Mark)
			child.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
			if err := child.Start(); err != nil {
				return nil, err
			}
		}
	}
	fmt.Println("begun")
	report(e, "begun")
	if e.Do == "floods" {
		for n := 0; n < 12000; n++ {
			fmt.Println("line", n)
		}
	}
	over := time.After(time.Duration(e.Ms) * time.Millisecond)
	if e.Do == "overstays" {
		over = nil
	}
	if e.Do == "leaves" {
		<-over
		return "DONE", nil
	}
	select {
	case <-stopped:
		report(e, "signalled")
		return "END", nil
	case <-over:
		report(e, "finished")
	}
	switch e.Do {
	case "throws":
		return nil, errors.New("on purpose")
	case "exits 0":
		os.Exit(0)
	case "exits 1":
		os.Exit(1)
	case "crashes":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Minute)
	case "devours":
		var eaten [][]byte
		for {
			block := make([]byte, 8<<20)
			for i := range block {
				block[i] = 1
			}
			eaten = append(eaten, block)
			time.Sleep(5 * time.Millisecond)
		}
	}
	return "DONE", nil
}

func main() {
	cloudfunction.Start(handle)
}
