"""The app's pages, one file each; they import Gradio, so only `app` imports them."""
