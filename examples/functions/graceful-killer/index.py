# -*- coding: utf8 -*-
import time
import signal

class GracefulKiller:
	kill_now = False
	def __init__(self):
    # Register signal processing function
		signal.signal(signal.SIGTERM, self.graceshutdown)
	def graceshutdown(self, *agrg):
		print("do something before shutdown.")
		self.kill_now = True

def main_handler(event, context):
	killer = GracefulKiller()

	while not killer.kill_now:
		time.sleep(1)
		print(killer.kill_now)
	    
	print("Graceful shutdown.")
	return("END")
