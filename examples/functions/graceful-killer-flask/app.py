# -*- coding: utf8 -*-
from flask import Flask, request
import time
import signal
app = Flask(__name__)

class GracefulKiller:
	kill_now = False
	def __init__(self):
    # Register signal processing function
		signal.signal(signal.SIGTERM, self.graceshutdown)
	def graceshutdown(self, *agrg):
		print("do something before shutdown.")
		self.kill_now = True

@app.route('/event-invoke', methods = ['POST'])
def invoke():
	while not killer.kill_now:
		time.sleep(1)
		print(killer.kill_now)

	print("Graceful shutdown.")
	return("END")

if __name__ == '__main__':
    killer = GracefulKiller()
    app.run(host='0.0.0.0', port=9000)
