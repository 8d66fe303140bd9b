"""The pages, a module for each kind; every one is a function of a request and the desk."""
